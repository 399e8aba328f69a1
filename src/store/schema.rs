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
    audit_events (seq) {
        seq -> BigInt,
        id -> Text,
        org_id -> Nullable<Text>,
        at_ms -> BigInt,
        kind -> Text,
        outcome -> Text,
        reason -> Nullable<Text>,
        actor -> Text,
        actor_id -> Nullable<Text>,
        actor_name -> Text,
        address -> Nullable<Text>,
        request_id -> Nullable<Text>,
        targets -> Text,
    }
}

diesel::table! {
    changes (rev) {
        rev -> BigInt,
        org_id -> Nullable<Text>,
        entity -> Text,
        id -> Text,
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
    key_sets (seq) {
        seq -> BigInt,
        id -> Text,
        org_id -> Text,
        name -> Nullable<Text>,
        tags -> Nullable<Text>,
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
    keys (seq) {
        seq -> BigInt,
        id -> Text,
        org_id -> Text,
        set_id -> Nullable<Text>,
        name -> Nullable<Text>,
        kid -> Text,
        jwk -> Nullable<Text>,
        pem_public -> Nullable<Text>,
        pem_reference -> Nullable<Text>,
        private_key -> Nullable<Binary>,
        tags -> Nullable<Text>,
        created_ms -> BigInt,
        updated_ms -> BigInt,
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

diesel::table! {
    schema_floor (version) {
        version -> Text,
    }
}

diesel::table! {
    tags (seq) {
        seq -> BigInt,
        org_id -> Text,
        key_id -> Nullable<Text>,
        set_id -> Nullable<Text>,
        tag -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    hook_keys,
    inline_hooks,
    orgs,
    api_tokens,
    key_sets,
    keys,
    tags
);
