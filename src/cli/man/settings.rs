//! `hook-keys.toml(5)`: the sample settings as a manual page.

use clap_mangen::roff::{Roff, bold, roman};

use super::title;
use crate::config::SAMPLE;

/// The page.
pub(super) fn page() -> String {
    let mut roff = Roff::new();
    roff.control("SH", ["NAME"]);
    roff.text([roman("hook-keys.toml - the settings of hook-keys")]);
    let mut paragraphs = SAMPLE.split("\n\n").map(Paragraph::read);
    roff.control("SH", ["DESCRIPTION"]);
    roff.text([roman(
        "A file in TOML. Anything unknown in it is refused. `hook-keys config sample` prints one with all defaults, \
         `hook-keys config check` checks one, and `hook-keys config show` says where each value comes from.",
    )]);
    if let Some(preface) = paragraphs.next() {
        roff.control("PP", []);
        roff.text([roman(preface.comment)]);
    }
    roff.control("SH", ["SETTINGS"]);
    let mut section = String::new();
    for paragraph in paragraphs {
        if let Some(name) = paragraph.section {
            roff.control("SS", [format!("[{name}]").as_str()]);
            section = format!("{name}.");
        }
        for (key, default) in paragraph.settings {
            let variable =
                format!("HOOK_KEYS_{}", format!("{section}{key}").replace('.', "_").to_uppercase());
            roff.control("TP", []);
            roff.text([bold(key), roman(format!(" = {default}"))]);
            roff.text([roman(paragraph.comment.clone())]);
            roff.control("IP", []);
            roff.text([roman("Variable: "), bold(variable)]);
        }
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([bold("hook-keys"), roman("(1), "), bold("hook-keys-config"), roman("(1)")]);
    title("hook-keys.toml", "5") + &roff.render()
}

/// What stands together in the sample: a section's name, a comment, and the settings that it is about.
struct Paragraph<'a> {
    section: Option<&'a str>,
    comment: String,
    settings: Vec<(&'a str, &'a str)>,
}

impl<'a> Paragraph<'a> {
    fn read(text: &'a str) -> Self {
        let lines = text.lines().map(str::trim);
        let comment: Vec<_> =
            lines.clone().filter_map(|line| line.strip_prefix('#')).map(str::trim).collect();
        let settings = lines.clone().filter(|line| !line.starts_with(['#', '[']));
        Self {
            section: lines.clone().find_map(|line| line.strip_prefix('[')?.strip_suffix(']')),
            comment: comment.join(" "),
            settings: settings.filter_map(|line| line.split_once(" = ")).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;

    #[test]
    fn every_setting_has_its_place_with_default_variable_and_meaning() {
        let page = page().replace("\\-", "-");
        for (key, value, _) in Layers::defaults().unwrap().explain() {
            let last = key.rsplit('.').next().unwrap();
            let variable = format!("HOOK_KEYS_{}", key.replace('.', "_").to_uppercase());
            let place = page.find(&format!("\\fB{variable}\\fR")).unwrap_or_else(|| panic!("{variable}"));
            let above = page[..place].rsplit(".TP\n").next().unwrap();
            let (first, meaning) = above.split_once('\n').unwrap();
            assert_eq!(first, format!("\\fB{last}\\fR = {value}"), "{key}");
            assert!(meaning.len() > 30, "{key} has no meaning: {meaning}");
        }
    }
}
