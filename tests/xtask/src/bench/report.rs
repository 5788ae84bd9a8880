//! What was measured, as a table, as JSON and as Markdown.

use super::kernels::{Group, Kernel};
use serde_json::{Value, json};
use std::fmt::Write;

/// Processor seconds of one kernel, an element per run.
pub struct Row {
    /// Which kernel.
    pub kernel: &'static Kernel,
    /// On this machine.
    pub native: Vec<f64>,
    /// Under hyperemu.
    pub ours: Vec<f64>,
    /// Under QEMU; empty where it was left out.
    pub qemu: Vec<f64>,
}

/// Processor seconds of a whole boot, an element per run.
pub struct Boot {
    /// Under hyperemu.
    pub ours: Vec<f64>,
    /// Under QEMU; empty where it was left out.
    pub qemu: Vec<f64>,
}

/// Everything of one call.
pub struct Report {
    /// Where it was measured: the host's processor, versions, arguments.
    pub about: Vec<(&'static str, String)>,
    /// Kernels, in order.
    pub rows: Vec<Row>,
    /// The boot, unless it was left out.
    pub boot: Option<Boot>,
}

/// Minimum, median and maximum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread(pub [f64; 3]);

impl Spread {
    /// Of figures; `None` where there are none.
    pub fn of(figures: &[f64]) -> Option<Self> {
        let mut figures = figures.to_vec();
        figures.sort_by(f64::total_cmp);
        let (first, last) = (*figures.first()?, *figures.last()?);
        let middle = figures.len() / 2;
        let median = if figures.len() % 2 == 1 {
            figures[middle]
        } else {
            (figures[middle - 1] + figures[middle]) / 2.0
        };
        Some(Self([first, median, last]))
    }

    /// The median.
    pub fn median(self) -> f64 {
        self.0[1]
    }
}

/// Ratios run by run, since a run's two figures were measured one after the other.
fn ratios(over: &[f64], under: &[f64]) -> Vec<f64> {
    over.iter().zip(under).map(|(over, under)| over / under).collect()
}

/// Geometric means run by run of what `ratios` gives for each row.
fn geometric_means(rows: &[&Row], ratios: impl Fn(&Row) -> Vec<f64>) -> Vec<f64> {
    let all: Vec<Vec<f64>> = rows.iter().map(|row| ratios(row)).collect();
    let runs = all.iter().map(Vec::len).min().unwrap_or(0);
    (0..runs).map(|run| (all.iter().map(|row| row[run].ln()).sum::<f64>() / all.len() as f64).exp()).collect()
}

/// A line of the tables: a name, native seconds, and three ratios.
struct Line {
    name: &'static str,
    title: &'static str,
    native: Option<Spread>,
    /// hyperemu by native, QEMU by native, QEMU by hyperemu.
    ratios: [Option<Spread>; 3],
}

const COLUMNS: [&str; 3] = ["hyperemu / native", "QEMU / native", "QEMU / hyperemu"];

impl Report {
    fn lines(&self, group: Group) -> Vec<Line> {
        let rows: Vec<&Row> = self.rows.iter().filter(|row| row.kernel.group == group).collect();
        let columns: [fn(&Row) -> Vec<f64>; 3] = [
            |row| ratios(&row.ours, &row.native),
            |row| ratios(&row.qemu, &row.native),
            |row| ratios(&row.qemu, &row.ours),
        ];
        let mut lines: Vec<Line> = rows
            .iter()
            .map(|row| Line {
                name: row.kernel.name,
                title: row.kernel.title,
                native: Spread::of(&row.native),
                ratios: columns.map(|column| Spread::of(&column(row))),
            })
            .collect();
        if rows.len() > 1 {
            let ratios = columns.map(|column| Spread::of(&geometric_means(&rows, column)));
            lines.push(Line { name: "geom. mean", title: "**geometric mean**", native: None, ratios });
        }
        lines
    }

    /// A table for people: native seconds, and minimum, median and maximum of each ratio.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for (name, group) in [("user", Group::User), ("system", Group::System)] {
            let lines = self.lines(group);
            if lines.is_empty() {
                continue;
            }
            let _ = write!(text, "{name:12}{:>8}", "native s");
            COLUMNS.iter().for_each(|column| text += &format!("  {column:>21}"));
            text += "\n";
            for Line { name, native, ratios, .. } in lines {
                let native = native.map_or(String::new(), |native| format!("{:.3}", native.median()));
                let _ = write!(text, "{name:12}{native:>8}");
                for ratio in ratios {
                    let cells = ratio.map_or(String::new(), |Spread([min, median, max])| {
                        format!("{min:6.2} {median:7.2} {max:6.2}")
                    });
                    let _ = write!(text, "  {cells:>21}");
                }
                text.truncate(text.trim_end().len());
                text += "\n";
            }
            text += "\n";
        }
        if let Some(boot) = &self.boot {
            let _ =
                writeln!(text, "{:24}{:>7} {:>7} {:>7}", "boot, processor seconds", "min", "median", "max");
            let lines = [("hyperemu", &boot.ours), ("QEMU", &boot.qemu), ("hyperemu / QEMU", &boot.ratios())];
            for (name, figures) in lines {
                if let Some(Spread([min, median, max])) = Spread::of(figures) {
                    let _ = writeln!(text, "{name:24}{min:7.2} {median:7.2} {max:7.2}");
                }
            }
        }
        text
    }

    /// The README's table: medians.
    pub fn markdown(&self) -> String {
        let mut text = String::from("| kernel | hyperemu | QEMU | QEMU / hyperemu |\n|---|---|---|---|\n");
        let cell = |ratio: Option<Spread>| ratio.map_or("".into(), |ratio| format!("{:.1}", ratio.median()));
        for group in [Group::User, Group::System] {
            for Line { title, ratios: [ours, qemu, both], .. } in self.lines(group) {
                let _ = writeln!(text, "| {title} | {} | {} | {} |", cell(ours), cell(qemu), cell(both));
            }
        }
        if let Some(boot) = &self.boot {
            let seconds = |figures| Spread::of(figures).map_or("".into(), |s| format!("{:.2} s", s.median()));
            let (ours, qemu) = (seconds(&boot.ours), seconds(&boot.qemu));
            let ratio = cell(Spread::of(&ratios(&boot.qemu, &boot.ours)));
            let _ = writeln!(text, "| Linux boot and power-off | {ours} | {qemu} | {ratio} |");
        }
        text
    }

    /// Every figure, and the medians drawn from them.
    pub fn json(&self) -> Value {
        let spread = |ratio: Option<Spread>| {
            ratio.map(|Spread([min, median, max])| json!({ "min": min, "median": median, "max": max }))
        };
        let ratios = |[ours, qemu, both]: [Option<Spread>; 3]| {
            json!({ "hyperemu_by_native": spread(ours), "qemu_by_native": spread(qemu),
                    "qemu_by_hyperemu": spread(both) })
        };
        let mut kernels = Vec::new();
        let mut means = serde_json::Map::new();
        for (name, group) in [("user", Group::User), ("system", Group::System)] {
            for line in self.lines(group) {
                let Some(row) = self.rows.iter().find(|row| row.kernel.name == line.name) else {
                    means.insert(name.into(), ratios(line.ratios));
                    continue;
                };
                kernels.push(json!({
                    "name": line.name, "group": name, "native_s": row.native, "hyperemu_s": row.ours,
                    "qemu_s": row.qemu, "ratios": ratios(line.ratios),
                }));
            }
        }
        let boot = self.boot.as_ref().map(|boot| {
            json!({ "hyperemu_s": boot.ours, "qemu_s": boot.qemu,
                    "hyperemu_by_qemu": spread(Spread::of(&boot.ratios())) })
        });
        let about: serde_json::Map<_, _> =
            self.about.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        json!({ "about": about, "kernels": kernels, "geometric_means": means, "boot": boot })
    }
}

impl Boot {
    /// hyperemu by QEMU.
    fn ratios(&self) -> Vec<f64> {
        ratios(&self.ours, &self.qemu)
    }
}

#[cfg(test)]
mod tests {
    use super::super::kernels::KERNELS;
    use super::*;

    fn report() -> Report {
        let row = |index: usize, native, ours, qemu| Row {
            kernel: &KERNELS[index],
            native: vec![native; 3],
            ours: vec![ours, 2.0 * ours, 4.0 * ours],
            qemu: vec![qemu; 3],
        };
        Report {
            about: vec![("host", "a".into())],
            rows: vec![row(0, 0.1, 0.2, 0.8), row(1, 0.1, 0.8, 0.8)],
            boot: Some(Boot { ours: vec![1.0], qemu: vec![2.0] }),
        }
    }

    #[test]
    fn spread_is_of_the_sorted_figures() {
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), Some(Spread([1.0, 2.0, 3.0])));
        assert_eq!(Spread::of(&[4.0, 1.0, 2.0, 3.0]), Some(Spread([1.0, 2.5, 4.0])));
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn means_are_geometric_and_by_run() {
        let json = report().json();
        let ours = &json["geometric_means"]["user"]["hyperemu_by_native"];
        for (name, expected) in [("min", 4.0), ("median", 8.0), ("max", 16.0)] {
            assert!((ours[name].as_f64().unwrap() - expected).abs() < 1e-9, "{ours}");
        }
        assert_eq!(json["kernels"][0]["ratios"]["qemu_by_hyperemu"]["max"], 4.0);
        assert_eq!(json["boot"]["hyperemu_by_qemu"]["median"], 0.5);
        assert!(json["geometric_means"]["system"].is_null());
    }

    #[test]
    fn tables_have_a_line_per_kernel() {
        let (table, markdown) = (report().table(), report().markdown());
        assert!(table.contains("geom. mean") && table.contains("hyperemu / QEMU"), "{table}");
        assert!(markdown.contains("| nbody (double) | 16.0 | 8.0 | 0.5 |"), "{markdown}");
        assert!(markdown.contains("| Linux boot and power-off | 1.00 s | 2.00 s | 2.0 |"), "{markdown}");
    }
}
