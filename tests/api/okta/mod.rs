mod hook_keys;
mod isolation;
mod requests;
mod rules;
