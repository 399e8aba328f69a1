//! The ratios as bars, each with a mark at its target: SVG without scripts, fonts or links.

use crate::row::{Row, Section, Target, Unit};

const WIDTH: f64 = 860.0;
const LABELS: f64 = 300.0;
const BARS: f64 = 440.0;
const LINE: f64 = 26.0;
const HEAD: f64 = 44.0;
const MARGIN: f64 = 16.0;

const PAPER: &str = "#ffffff";
const INK: &str = "#1f2933";
const PALE: &str = "#e4e7eb";
const REACHED: &str = "#2f7d5b";
const MISSED: &str = "#c2410c";

/// Two groups, since a long bar is good in the one and bad in the other.
pub(crate) fn draw(sections: &[Section]) -> String {
    let of = |least: bool| -> Vec<&Row> {
        let rows = sections.iter().flat_map(|section| &section.rows);
        rows.filter(|row| row.unit == Unit::Ratio)
            .filter(|row| match row.target {
                Some(Target::AtLeast(_)) => least,
                Some(Target::AtMost(_)) => !least,
                None => false,
            })
            .collect()
    };
    let mut drawing = Drawing { y: MARGIN, shapes: Vec::new() };
    drawing.group("Ratio to the reference: the mark is the least that is wanted", &of(true));
    drawing.group("Ratio to the reference: the mark is the most that is wanted", &of(false));
    drawing.finish()
}

struct Drawing {
    y: f64,
    shapes: Vec<String>,
}

impl Drawing {
    fn group(&mut self, title: &str, rows: &[&Row]) {
        if rows.is_empty() {
            return;
        }
        self.text(MARGIN, self.y + 22.0, "start", "bold", title);
        self.y += HEAD;
        let longest = rows.iter().flat_map(|row| [row.value, row.target.map_or(0.0, Target::number)]);
        let longest = longest.fold(1.0, f64::max);
        for row in rows {
            self.bar(row, BARS / longest);
            self.y += LINE;
        }
        self.y += MARGIN;
    }

    fn bar(&mut self, row: &Row, scale: f64) {
        let (x, y, height) = (MARGIN + LABELS, self.y, LINE - 10.0);
        let color = if row.reached() == Some(true) { REACHED } else { MISSED };
        self.text(x - 10.0, y + 13.0, "end", "normal", &row.what);
        self.rectangle(x, y, BARS, height, PALE);
        self.rectangle(x, y, row.value * scale, height, color);
        if let Some(target) = row.target {
            self.rectangle(x + target.number() * scale - 1.5, y - 4.0, 3.0, height + 8.0, INK);
        }
        let shown = format!("{:.2}", row.value);
        self.text(x + BARS + 12.0, y + 13.0, "start", "bold", &shown);
    }

    fn rectangle(&mut self, x: f64, y: f64, width: f64, height: f64, fill: &str) {
        self.shapes.push(format!(
            "  <rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\"/>\n"
        ));
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, weight: &str, text: &str) {
        self.shapes.push(format!(
            "  <text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-weight=\"{weight}\">{}</text>\n",
            escaped(text)
        ));
    }

    fn finish(mut self) -> String {
        let legend = self.y + 8.0;
        self.rectangle(MARGIN, legend - 9.0, 12.0, 10.0, REACHED);
        self.text(MARGIN + 18.0, legend, "start", "normal", "target reached");
        self.rectangle(MARGIN + 130.0, legend - 9.0, 12.0, 10.0, MISSED);
        self.text(MARGIN + 148.0, legend, "start", "normal", "target missed");
        let height = legend + MARGIN;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" width=\"{WIDTH:.0}\" \
             height=\"{height:.0}\" font-family=\"sans-serif\" font-size=\"13\" fill=\"{INK}\" role=\"img\">\n  \
             <title>Ratios of the benchmark with their targets</title>\n  \
             <rect width=\"100%\" height=\"100%\" fill=\"{PAPER}\"/>\n{}</svg>\n",
            self.shapes.concat()
        )
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
