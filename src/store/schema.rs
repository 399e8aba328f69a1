//! The tables, as `diesel print-schema` writes them. A test compares them with the migrated database.
#![allow(missing_docs, reason = "generated: the migrations say what each column is")]

diesel::table! {
    api_tokens (seq) {
        seq -> BigInt,
        id -> Text,
        org_id -> Text,
        name -> Text,
        digest -> Binary,
        permissions -> Text,
        created_ms -> BigInt,
        last_used_ms -> Nullable<BigInt>,
        idle_ms -> Nullable<BigInt>,
        expires_ms -> Nullable<BigInt>,
        revoked_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    hook_keys (seq) {
        seq -> BigInt,
        id -> Text,
        org_id -> Text,
        key_id -> Text,
        name -> Text,
        modulus -> Text,
        private_key -> Binary,
        created_ms -> BigInt,
        updated_ms -> BigInt,
    }
}

diesel::table! {
    inline_hooks (seq) {
        seq -> BigInt,
        id -> Text,
        org_id -> Text,
        name -> Text,
        status -> Text,
        kind -> Text,
        version -> Text,
        channel -> Text,
        headers -> Nullable<Binary>,
        secret -> Nullable<Binary>,
        hook_key_id -> Nullable<Text>,
        created_ms -> BigInt,
        updated_ms -> BigInt,
    }
}

diesel::table! {
    keyring (term) {
        term -> Integer,
        wrapped -> Binary,
        created_ms -> BigInt,
    }
}

diesel::table! {
    orgs (id) {
        id -> Text,
        name -> Text,
        hook_key_limit -> Nullable<BigInt>,
        created_ms -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(hook_keys, inline_hooks, orgs, api_tokens);
