mod access_tokens;
mod addresses;
mod execute;
mod hook_keys;
mod inline_hooks;
mod isolation;
mod requests;
mod rules;
