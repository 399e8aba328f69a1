//! How deep JSON is nested, found out without parsing it.

/// Whether arrays and objects stand in one another more than `most` times. What is no JSON has some answer, and the
/// parser refuses it afterwards.
#[must_use]
pub(super) fn is_deeper(json: &[u8], most: usize) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                if depth > most {
                    return true;
                }
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_counted_and_not_brackets() {
        for (json, depth) in [
            ("1", 0),
            ("{}", 1),
            ("[[], [], {}]", 2),
            (r#"{"a": {"b": [1, {"c": 2}]}}"#, 4),
            (r#"["[[[[", "{{{{"]"#, 1),
            (r#"["\"[[[", "\\", [1]]"#, 2),
            (r#"{"\\\"[": []}"#, 2),
            ("]]]][[", 2),
        ] {
            assert!(!is_deeper(json.as_bytes(), depth), "{json} is not deeper than {depth}");
            assert!(
                depth == 0 || is_deeper(json.as_bytes(), depth - 1),
                "{json} is deeper than {}",
                depth - 1
            );
        }
    }
}
