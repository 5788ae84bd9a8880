//! Commands from the console.

use ui::Date;
use watch_app::{App, Page};

use crate::{Watch, heap, now, println};

impl Watch {
    /// Runs what the host asked for; says whether there was something.
    pub fn shell(&mut self) -> bool {
        let (app, frames) = (&mut self.app, self.screen.frames);
        self.commands.next(|line| run(app, frames, line))
    }
}

fn run(app: &mut App, frames: u32, line: &str) {
    let now = now();
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let known = match word {
        "time" => time(rest).map(|(hour, minute)| app.set_time(hour, minute, now)),
        "screen" if rest == "off" => app.is_awake().then(|| app.sleep()),
        "screen" => Page::named(rest).map(|page| {
            app.wake(now);
            app.open(page, None, now);
        }),
        "set" => {
            let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
            value.parse().ok().filter(|&value| app.set(name, value)).map(|_| ())
        }
        "info" => {
            let d = Date::of(app.seconds(now));
            println!("watch: {} {} {} {} {:02}:{:02}", d.weekday, d.day, d.month, d.year, d.hour, d.minute);
            let (used, size) = heap::used();
            println!(
                "watch: up {} ms, {frames} frames, heap {used} of {size}, steps {}",
                now / 1000,
                app.steps()
            );
            Some(())
        }
        "panic" => panic!("asked for"),
        _ => None,
    };
    if known.is_none() {
        println!("watch: time HH:MM, screen NAME, screen off, set NAME N, info, panic");
    }
}

fn time(text: &str) -> Option<(u32, u32)> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60).then_some((hour, minute))
}
