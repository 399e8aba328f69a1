//! The report, as Markdown and as a plain table.

use crate::machine::Machine;
use crate::plan::Plan;
use crate::row::{Row, Section, Unit};

pub(crate) struct Report<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) machine: &'a Machine,
    pub(crate) sections: &'a [Section],
}

const TITLES: [&str; 7] = ["what", "ours", "reference", "value", "spread", "target", "reached"];

impl Report<'_> {
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from("# Benchmarks\n\n");
        self.preface(&mut text);
        text.push_str("## Where\n\n| | |\n|---|---|\n");
        for (name, value) in &self.machine.facts {
            line(&mut text, &[(*name).to_owned(), value.clone()]);
        }
        text.push_str("\n## How\n\n");
        text.push_str(&self.method());
        text.push_str("\n## Outcome\n\n");
        text.push_str(&self.summary());
        text.push_str("\n\n![The ratios with their targets](benchmarks.svg)\n\n");
        line(&mut text, &TITLES.map(str::to_owned));
        text.push_str("|---|---|---|---|---|---|---|\n");
        for row in self.rows() {
            let cells = cells(row);
            // A missed target must not be overlooked.
            let cells = if row.reached() == Some(false) { cells.map(bold) } else { cells };
            line(&mut text, &cells);
        }
        for section in self.sections {
            detail(&mut text, section);
        }
        text
    }

    /// For a terminal.
    pub(crate) fn plain_table(&self) -> String {
        let mut table = vec![TITLES.map(str::to_owned)];
        table.extend(self.rows().map(cells));
        let width = |column: usize| {
            let cells = table.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..TITLES.len()).map(width).collect();
        let mut text = String::new();
        for row in &table {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            let shown = cells.collect::<Vec<_>>().join("  ");
            text.push_str(shown.trim_end());
            text.push('\n');
        }
        text + "\n" + &self.summary()
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.sections.iter().flat_map(|section| &section.rows)
    }

    fn preface(&self, text: &mut String) {
        if self.plan.quick {
            text.push_str(
                "Written by `scripts/bench --quick --out DIR`, which only tries the harness: rounds are too short and \
                 data too little for these figures to mean anything.\n\n",
            );
        } else {
            text.push_str(
                "Written by `scripts/bench`, as a whole: changes by hand are lost. Running it again takes about \
                 20 minutes of a machine that has nothing else to do.\n\n",
            );
        }
    }

    fn method(&self) -> String {
        let Plan { rounds, seconds, warm_up, pairs, .. } = self.plan;
        format!(
            "Everything runs on one machine: the service, its database, the load and what it is compared with. Each is a \
             process of its own, and they meet over loopback.\n\
             - The service is the release binary with its default settings, but for what a measurement names. Its log \
             goes to a file.\n\
             - Both databases are durable: an answer to a write comes after the disk has it. PostgreSQL runs with its \
             defaults.\n\
             - The load is wrk with one script, the same on both sides of a comparison. It says how many answers came; \
             one that is no success, and any failed connection, ends the benchmark. Its percentiles make up for requests \
             that a slow answer held back.\n\
             - The two sides of a comparison take turns: {rounds} rounds of {seconds} s each, unless said otherwise, \
             after {warm_up} s of warm-up. A ratio is the median of ours over the median of the reference. The spread \
             is the least and the largest ratio of two rounds beside each other, or the least and the largest round.\n\
             - Databases were filled with {pairs} RSA key pairs, shared by all rows; each private half is sealed for its \
             row. After that PostgreSQL was told to tidy up once.\n"
        )
        .replacen("Everything", "- Everything", 1)
    }

    fn summary(&self) -> String {
        let judged: Vec<_> = self.rows().filter_map(|row| Some((row, row.reached()?))).collect();
        let missed: Vec<_> =
            judged.iter().filter(|(_, reached)| !reached).map(|(row, _)| row.what.as_str()).collect();
        let reached = judged.len() - missed.len();
        let mut text = format!("{reached} of {} targets are reached.", judged.len());
        if !missed.is_empty() {
            text.push_str(" Missed: ");
            text.push_str(&missed.join("; "));
            text.push('.');
        }
        text
    }
}

fn cells(row: &Row) -> [String; 7] {
    let spread = row.spread.map(|(least, largest)| match row.unit {
        Unit::Ratio => format!("{least:.2} to {largest:.2}"),
        unit => format!("{} to {}", unit.show(least), unit.show(largest)),
    });
    let reached = match row.reached() {
        Some(true) => "yes",
        Some(false) => "no",
        None => "",
    };
    [
        row.what.clone(),
        row.ours.clone(),
        row.reference.clone(),
        row.unit.show(row.value),
        spread.unwrap_or_default(),
        row.target.map(|target| target.show(row.unit)).unwrap_or_default(),
        reached.to_owned(),
    ]
}

fn detail(text: &mut String, section: &Section) {
    let Section { title, how, rows, notes } = section;
    text.extend(["\n### ", title, "\n\n", how, "\n"]);
    for note in notes {
        text.extend(["\n", note, "\n"]);
    }
    let rounds: Vec<_> = rows.iter().filter_map(|row| Some((&row.what, row.rounds.as_ref()?))).collect();
    if !rounds.is_empty() {
        text.push_str("\nRound by round:\n\n");
    }
    for (what, rounds) in rounds {
        text.extend(["- ", what, ": ", rounds, "\n"]);
    }
}

fn bold(cell: String) -> String {
    if cell.is_empty() { cell } else { format!("**{cell}**") }
}

fn line(text: &mut String, cells: &[String]) {
    let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    text.extend(["| ", &cells.join(" | "), " |\n"]);
}
