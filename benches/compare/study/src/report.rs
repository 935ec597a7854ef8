//! Owns: tables and the chart from rows of figures, and their places in a page. Never reads or writes files, never measures and never
//! judges: what a number means is written by hand between the tables. Times are the least of the rounds, since neighbours only ever add;
//! all else is the median. The chart follows the reader's light or dark colours by a media query, and every bar has its number, so
//! that nothing rests on colour alone.

use std::fmt::Write as _;

use crate::figures::{ALLOCATORS, Figures, Row, STRESS_THREADS, Technique, Techniques, WORKLOADS};

/// Threads of the stress run with which each technique is tried by itself.
pub const STRESS_TOLD: usize = 8;

/// All rows of a study.
pub struct Study {
    rows: Vec<Row>,
}

/// What is asked for.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// One of [`ALLOCATORS`].
    pub allocator: &'a str,
    /// With how many threads.
    pub threads: usize,
    /// One of [`WORKLOADS`], or `whole`.
    pub workload: &'a str,
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

impl Study {
    /// Of a file's text: a header, then a row a line. The error names the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let row = |(number, line): (usize, &str)| {
            Row::parse(line).ok_or_else(|| format!("line {} is no row of figures: {line}", number + 1))
        };
        Ok(Self { rows: text.lines().enumerate().skip(1).map(row).collect::<Result<_, _>>()? })
    }

    fn rows<'a, 'p>(
        &'a self,
        counted: bool,
        on: Techniques,
        place: Place<'p>,
    ) -> impl Iterator<Item = &'a Row> + use<'a, 'p> {
        self.rows.iter().filter(move |row| {
            row.counted == counted
                && row.on == on
                && row.threads == place.threads
                && row.allocator == place.allocator
                && row.figures.workload == place.workload
        })
    }

    /// Counts; they are the same in every round and under every allocator.
    pub fn counts(&self, on: Techniques, workload: &str) -> Option<&Figures> {
        let place = Place { allocator: ALLOCATORS[0], threads: 1, workload };
        self.rows(true, on, place).next().map(|row| &row.figures)
    }

    /// The median over the rounds.
    pub fn median(&self, on: Techniques, place: Place<'_>, value: impl Fn(&Figures) -> u64) -> Option<f64> {
        median(self.rows(false, on, place).map(|row| value(&row.figures) as f64).collect())
    }

    /// The least and the second least time of the rounds, in microseconds.
    fn least(&self, on: Techniques, place: Place<'_>) -> Option<(f64, f64)> {
        let mut times: Vec<_> = self.rows(false, on, place).map(|row| row.figures.time_us as f64).collect();
        times.sort_by(f64::total_cmp);
        Some((*times.first()?, *times.get(1).or(times.first())?))
    }

    /// The least time as a share of that of plain std.
    pub fn time_ratio(&self, on: Techniques, place: Place<'_>) -> Option<f64> {
        Some(self.least(on, place)?.0 / self.least(Techniques::NONE, place)?.0)
    }

    /// The median as a share of that of plain std.
    pub fn ratio(&self, on: Techniques, place: Place<'_>, value: fn(&Figures) -> u64) -> Option<f64> {
        Some(self.median(on, place, value)? / self.median(Techniques::NONE, place, value)?)
    }

    /// How far the second round lies above the least, as the median over all configurations: less than this is no difference.
    fn unrest(&self, threads: usize) -> Option<f64> {
        let mut above = Vec::new();
        for on in Techniques::studied() {
            for allocator in ALLOCATORS {
                let (least, second) = self.least(on, Place { allocator, threads, workload: "whole" })?;
                above.push(second / least - 1.0);
            }
        }
        median(above)
    }

    fn rounds(&self, threads: usize) -> usize {
        let place = Place { allocator: ALLOCATORS[0], threads, workload: "whole" };
        self.rows(false, Techniques::NONE, place).count()
    }

    /// The tables by name, in the order of the page.
    pub fn tables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("whole", self.whole()),
            ("shares", self.shares()),
            ("instructions", self.instructions()),
            ("times", self.times()),
            ("memory", self.memory()),
            ("latencies", self.latencies()),
            ("stress", self.stress()),
        ]
    }

    fn whole(&self) -> String {
        let mut table = String::from(
            "| | operations | allocations: none | all | fewer | resizes: none | all | requested MiB: none | all |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
        );
        for workload in WORKLOADS.into_iter().chain(["whole"]) {
            let (Some(none), Some(all)) =
                (self.counts(Techniques::NONE, workload), self.counts(Techniques::EVERY, workload))
            else {
                continue;
            };
            let name = if workload == "whole" { "**whole**" } else { workload };
            let _ = writeln!(
                table,
                "| {name} | {} | {} | {} | **{}** | {} | {} | {:.0} | {:.0} |",
                grouped(none.operations),
                grouped(none.allocations),
                grouped(all.allocations),
                percent(1.0 - all.allocations as f64 / none.allocations as f64),
                grouped(none.reallocations),
                grouped(all.reallocations),
                mebi(none.bytes),
                mebi(all.bytes),
            );
        }
        table
    }

    fn shares(&self) -> String {
        let mut table = String::from(
            "| | allocations, alone | left out | with resizes, alone | left out | bytes, alone | left out | alone, by workload: nodes | batches | log | names |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
        );
        let (Some(none), Some(all)) =
            (self.counts(Techniques::NONE, "whole"), self.counts(Techniques::EVERY, "whole"))
        else {
            return table;
        };
        let values: [fn(&Figures) -> u64; 3] =
            [|f| f.allocations, |f| f.allocations + f.reallocations, |f| f.bytes];
        for technique in Technique::ALL {
            let _ = write!(table, "| {} |", technique.name());
            for value in values {
                let share = |from: Option<&Figures>, to: Option<&Figures>| {
                    from.zip(to).map_or(String::new(), |(from, to)| {
                        signed((value(to) as f64 - value(from) as f64) / value(none) as f64)
                    })
                };
                let alone = share(Some(none), self.counts(Techniques::alone(technique), "whole"));
                let left_out = share(self.counts(Techniques::without(technique), "whole"), Some(all));
                let _ = write!(table, " {alone} | {left_out} |");
            }
            for workload in WORKLOADS {
                let none = self.counts(Techniques::NONE, workload).map_or(1, |figures| figures.allocations);
                let alone = self
                    .counts(Techniques::alone(technique), workload)
                    .map_or(0, |figures| figures.allocations);
                let _ = write!(table, " {} |", signed(alone as f64 / none as f64 - 1.0));
            }
            table.push('\n');
        }
        table
    }

    fn instructions(&self) -> String {
        self.by_technique("instructions", |on, allocator| self.instruction_ratio(on, allocator))
    }

    /// Instructions as a share of those of plain std.
    fn instruction_ratio(&self, on: Techniques, allocator: &str) -> Option<f64> {
        let place = Place { allocator, threads: 1, workload: "instructions" };
        let of = |on| Some(self.rows(false, on, place).next()?.instructions as f64);
        Some(of(on)? / of(Techniques::NONE)?)
    }

    fn times(&self) -> String {
        let unrest = self.unrest(1).map_or(String::new(), percent_fine);
        let mut table =
            format!("Least of {} rounds; the second least lies {unrest} above it.\n\n", self.rounds(1));
        table += &self.by_technique("processor's time", |on, allocator| {
            self.time_ratio(on, Place { allocator, threads: 1, workload: "whole" })
        });
        table.push_str("| ms, none → all |");
        for allocator in ALLOCATORS {
            let place = Place { allocator, threads: 1, workload: "whole" };
            let ms = |on| self.least(on, place).map_or(0.0, |(least, _)| least / 1000.0);
            let _ = write!(table, " {:.0} → {:.0} | |", ms(Techniques::NONE), ms(Techniques::EVERY));
        }
        table.push('\n');
        table
    }

    /// A table of what each technique changes, alone and left out, and what all change; `ratio` is to plain std.
    fn by_technique(&self, what: &str, ratio: impl Fn(Techniques, &'static str) -> Option<f64>) -> String {
        let mut table = format!(
            "| {what} | {} |\n|---|{}\n",
            ALLOCATORS.map(|allocator| format!("{allocator}: alone | left out")).join(" | "),
            "---:|".repeat(2 * ALLOCATORS.len()),
        );
        let told = |share: Option<f64>| share.map_or(String::new(), signed);
        for technique in Technique::ALL {
            let _ = write!(table, "| {} |", technique.name());
            for allocator in ALLOCATORS {
                let alone = ratio(Techniques::alone(technique), allocator).map(|alone| alone - 1.0);
                let both =
                    ratio(Techniques::EVERY, allocator).zip(ratio(Techniques::without(technique), allocator));
                let _ = write!(
                    table,
                    " {} | {} |",
                    told(alone),
                    told(both.map(|(all, left_out)| all - left_out))
                );
            }
            table.push('\n');
        }
        table.push_str("| **all** |");
        for allocator in ALLOCATORS {
            let _ =
                write!(table, " **{}** | |", told(ratio(Techniques::EVERY, allocator).map(|all| all - 1.0)));
        }
        table.push('\n');
        table
    }

    fn memory(&self) -> String {
        let mut table = format!(
            "| resident MiB | {} |\n|---|{}\n",
            ALLOCATORS.map(|allocator| format!("{allocator}: peak | done | freed")).join(" | "),
            "---:|".repeat(3 * ALLOCATORS.len()),
        );
        let alone = Technique::ALL.map(Techniques::alone);
        for on in [Techniques::NONE].into_iter().chain(alone).chain([Techniques::EVERY]) {
            let name = if on == Techniques::EVERY { "**all**".into() } else { on.to_string() };
            let _ = write!(table, "| {name} |");
            for allocator in ALLOCATORS {
                let place = Place { allocator, threads: 1, workload: "whole" };
                let mib = |value: fn(&Figures) -> u64| {
                    self.median(on, place, value).map_or(String::new(), |kib| format!("{:.1}", kib / 1024.0))
                };
                let (peak, live, end) = (mib(|f| f.peak_kib), mib(|f| f.live_kib), mib(|f| f.end_kib));
                let _ = write!(table, " {peak} | {live} | {end} |");
            }
            table.push('\n');
        }
        table
    }

    fn latencies(&self) -> String {
        let mut table = format!(
            "| µs an operation, none → all | {} |\n|---|{}\n",
            ALLOCATORS.map(|allocator| format!("{allocator}: median | p99 | p99.9")).join(" | "),
            "---:|".repeat(3 * ALLOCATORS.len()),
        );
        for workload in WORKLOADS {
            let _ = write!(table, "| {workload} |");
            for allocator in ALLOCATORS {
                let place = Place { allocator, threads: 1, workload };
                let values: [fn(&Figures) -> u64; 3] = [|f| f.p50_ns, |f| f.p99_ns, |f| f.p999_ns];
                for value in values {
                    let micros = |on| self.median(on, place, value).map_or(String::new(), micros);
                    let _ = write!(table, " {} → {} |", micros(Techniques::NONE), micros(Techniques::EVERY));
                }
            }
            table.push('\n');
        }
        table
    }

    fn stress(&self) -> String {
        let unrest = self.unrest(STRESS_TOLD).map_or(String::new(), percent_fine);
        let mut table = format!(
            "Rates: the best of {} rounds; the second best took {unrest} longer. Percentiles: medians.\n\n",
            self.rounds(STRESS_TOLD)
        );
        table.push_str(
            "| allocator | threads | operations a ms: none | all | ratio | p99 µs, none → all | p99.9 µs | peak MiB |\n|---|---:|---:|---:|---:|---:|---:|---:|\n",
        );
        for allocator in ALLOCATORS {
            for threads in STRESS_THREADS {
                let place = Place { allocator, threads, workload: "whole" };
                let rate = |on| {
                    let operations = self.median(on, place, |figures| figures.operations).unwrap_or(0.0);
                    operations * 1000.0 / self.least(on, place).map_or(1.0, |(least, _)| least)
                };
                let both = |value: fn(&Figures) -> u64, told: fn(f64) -> String| {
                    let of = |on| self.median(on, place, value).map_or(String::new(), told);
                    format!("{} → {}", of(Techniques::NONE), of(Techniques::EVERY))
                };
                let ratio = self.time_ratio(Techniques::EVERY, place);
                let _ = writeln!(
                    table,
                    "| {allocator} | {threads} | {:.0} | {:.0} | **{:.2}** | {} | {} | {} |",
                    rate(Techniques::NONE),
                    rate(Techniques::EVERY),
                    ratio.map_or(0.0, f64::recip),
                    both(|f| f.p99_ns, micros),
                    both(|f| f.p999_ns, micros),
                    both(|f| f.peak_kib, |kib| format!("{:.0}", kib / 1024.0)),
                );
            }
        }
        table
    }
}

fn mebi(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn percent(share: f64) -> String {
    // Not all of them, as long as one is left.
    if share > 0.995 {
        format!("{:.1} %", (1000.0 * share).floor() / 10.0)
    } else {
        format!("{:.0} %", 100.0 * share)
    }
}

fn percent_fine(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// In percent, with its sign; a minus is what one wants.
fn signed(share: f64) -> String {
    let rounded = (100.0 * share).round();
    match rounded {
        0.0 => "0".into(),
        above if above > 0.0 => format!("+{above:.0}"),
        below => format!("−{:.0}", -below),
    }
}

fn micros(nanos: f64) -> String {
    match nanos / 1000.0 {
        small if small < 10.0 => format!("{small:.2}"),
        middle if middle < 100.0 => format!("{middle:.1}"),
        large => format!("{large:.0}"),
    }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The page with each table between its marks, `<!-- table: NAME -->` and `<!-- end -->`. The error names a table that has no place.
pub fn filled(page: &str, tables: &[(&str, String)]) -> Result<String, String> {
    let mut page = page.to_owned();
    for (name, table) in tables {
        let mark = format!("<!-- table: {name} -->\n");
        let from =
            page.find(&mark).ok_or_else(|| format!("the page has no `{}`", mark.trim_end()))? + mark.len();
        let end = page[from..].find("<!-- end -->").ok_or_else(|| format!("table {name} has no end"))? + from;
        page.replace_range(from..end, table);
    }
    Ok(page)
}

// ---------------------------------------------------------------- the chart

const LABEL_WIDTH: f64 = 86.0;
const PANEL_WIDTH: f64 = 270.0;
const PANEL_GAP: f64 = 18.0;
/// Within a panel, what is left for bars beside their numbers.
const BAR_WIDTH: f64 = PANEL_WIDTH - 44.0;
const TOP: f64 = 86.0;
const BAR_HEIGHT: f64 = 11.0;
const ROW_HEIGHT: f64 = 3.0 * BAR_HEIGHT + 11.0;
/// Where the axes end, in percent.
const AXIS_PERCENT: f64 = 140.0;
const TICKS: [u32; 5] = [0, 25, 50, 75, 100];

const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#24292f}.title{font-weight:600;font-size:13px}.small{font-size:11px;paint-order:stroke;stroke:#ffffff;stroke-width:3px}\
.ground{fill:#ffffff}.grid{stroke:#d8dee4;stroke-width:1}.plain{stroke:#57606a;stroke-width:1.5;stroke-dasharray:4 3}\
.a{fill:#2f6fb7}.b{fill:#c9731a}.c{fill:#3c8a4a}\
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.small{stroke:#0d1117}.ground{fill:#0d1117}.grid{stroke:#30363d}.plain{stroke:#9198a1}\
.a{fill:#6cb0ff}.b{fill:#f0a35e}.c{fill:#6fc77d}}";

/// A panel: its title, the names of its bars, and for each row their percents.
struct Panel {
    title: &'static str,
    axis: &'static str,
    bars: Vec<&'static str>,
    rows: Vec<Vec<Option<f64>>>,
}

/// The rows of the chart: each technique alone, and all.
fn configurations() -> Vec<(&'static str, Techniques)> {
    let alone = Technique::ALL.iter().map(|&technique| (technique.name(), Techniques::alone(technique)));
    alone.chain([("all", Techniques::EVERY)]).collect()
}

fn panels(study: &Study) -> Vec<Panel> {
    let none = study.counts(Techniques::NONE, "whole");
    let of_none = |on| {
        let (counts, none) = (study.counts(on, "whole")?, none?);
        Some(100.0 * counts.allocations as f64 / none.allocations as f64)
    };
    let allocations = configurations().into_iter().map(|(name, on)| {
        let without =
            Technique::ALL.into_iter().find(|technique| technique.name() == name).map(Techniques::without);
        vec![of_none(on), without.and_then(of_none)]
    });
    let by_allocator = |ratio: fn(&Study, Techniques, Place<'_>) -> Option<f64>| {
        let row = |(_, on): (&str, Techniques)| {
            let percent = |allocator| {
                let place = Place { allocator, threads: 1, workload: "whole" };
                ratio(study, on, place).map(|ratio| 100.0 * ratio)
            };
            ALLOCATORS.map(percent).to_vec()
        };
        configurations().into_iter().map(row).collect()
    };
    vec![
        Panel {
            title: "Allocations",
            axis: "% of those of plain std",
            bars: vec!["it alone on", "it alone off"],
            rows: allocations.collect(),
        },
        Panel {
            title: "Instructions, it alone on",
            axis: "% of plain std under the same allocator",
            bars: ALLOCATORS.to_vec(),
            rows: by_allocator(|study, on, place| study.instruction_ratio(on, place.allocator)),
        },
        Panel {
            title: "Peak resident memory, it alone on",
            axis: "% of plain std under the same allocator",
            bars: ALLOCATORS.to_vec(),
            rows: by_allocator(|study, on, place| study.ratio(on, place, |figures| figures.peak_kib)),
        },
    ]
}

/// The chart.
pub fn draw(study: &Study) -> String {
    let rows = configurations();
    let width = LABEL_WIDTH + 3.0 * PANEL_WIDTH + 2.0 * PANEL_GAP + 10.0;
    let bottom = TOP + rows.len() as f64 * ROW_HEIGHT;
    let height = bottom + 44.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
         aria-label=\"Allocations, instructions and peak memory with each technique, in percent of plain std\">\n<style>{STYLE}</style>\n\
         <rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>\n<text class=\"title\" x=\"10\" y=\"22\">\
         What each technique leaves, in percent of plain std (the dashed line); shorter is better</text>\n"
    );
    for (row, (name, _)) in rows.iter().enumerate() {
        let y = TOP + (row as f64 + 0.5) * ROW_HEIGHT;
        let weight = if *name == "all" { " class=\"title\"" } else { "" };
        let _ = writeln!(
            svg,
            "<text{weight} x=\"{}\" y=\"{y:.1}\" text-anchor=\"end\">{name}</text>",
            LABEL_WIDTH - 8.0
        );
    }
    for (index, panel) in panels(study).iter().enumerate() {
        draw_panel(&mut svg, panel, LABEL_WIDTH + index as f64 * (PANEL_WIDTH + PANEL_GAP), bottom);
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw_panel(svg: &mut String, panel: &Panel, left: f64, bottom: f64) {
    let x = |percent: f64| left + percent.min(AXIS_PERCENT) / AXIS_PERCENT * BAR_WIDTH;
    let _ = writeln!(svg, "<text class=\"title\" x=\"{left}\" y=\"48\">{}</text>", panel.title);
    let mut key = left;
    for (bar, class) in panel.bars.iter().zip(["a", "b", "c"]) {
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{key:.1}\" y=\"58\" width=\"10\" height=\"10\"/><text class=\"small\" x=\"{:.1}\" y=\"67\">{bar}</text>",
            key + 14.0
        );
        key += 26.0 + 6.2 * bar.len() as f64;
    }
    for tick in TICKS {
        let (class, at) = (if tick == 100 { "plain" } else { "grid" }, x(tick.into()));
        let _ = writeln!(
            svg,
            "<line class=\"{class}\" x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{bottom}\"/>\
             <text class=\"small\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{tick}</text>",
            bottom + 15.0
        );
    }
    let _ = writeln!(
        svg,
        "<text class=\"small\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        left + BAR_WIDTH / 2.0,
        bottom + 32.0,
        panel.axis
    );
    for (row, percents) in panel.rows.iter().enumerate() {
        let bars = percents.iter().flatten().count() as f64;
        let mut y = TOP + row as f64 * ROW_HEIGHT + (ROW_HEIGHT - bars * BAR_HEIGHT) / 2.0;
        for (percent, class) in percents.iter().zip(["a", "b", "c"]) {
            let Some(percent) = *percent else { continue };
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{}\"/>\
                 <text class=\"small\" x=\"{:.1}\" y=\"{:.1}\">{percent:.0}</text>",
                x(percent) - left,
                BAR_HEIGHT - 1.5,
                x(percent) + 4.0,
                y + BAR_HEIGHT - 2.0
            );
            y += BAR_HEIGHT;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.004, 0.126, -0.5].map(signed), ["0", "+13", "−50"]);
        assert_eq!([1234.0, 12_345.0, 123_456.0].map(micros), ["1.23", "12.3", "123"]);
        assert_eq!(median(vec![3.0, 1.0, 2.0, 10.0]), Some(2.5));
    }

    #[test]
    fn tables_find_their_places() {
        let page = "one\n<!-- table: a -->\nold\n<!-- end -->\ntwo\n";
        let filled_page = filled(page, &[("a", "new\n".into())]).expect("it has a place");
        assert_eq!(filled_page, "one\n<!-- table: a -->\nnew\n<!-- end -->\ntwo\n");
        assert!(filled(page, &[("b", String::new())]).is_err());
    }
}
