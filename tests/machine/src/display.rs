//! A display without a monitor, and the keyboard and mouse of somebody in front of it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// An X server of its own; it ends with this value.
pub struct Display {
    server: Child,
    name: String,
}

impl Display {
    /// Starts a server with a screen larger than the boards' windows.
    ///
    /// # Panics
    ///
    /// Where Xvfb is not installed.
    pub fn start() -> Self {
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", "2200x1300x24", "-nolisten", "tcp"]);
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut server =
            spawned.unwrap_or_else(|e| panic!("cannot run Xvfb: {e}; `cargo xtask setup` installs it"));
        let mut number = String::new();
        let output = server.stdout.as_mut().expect("standard output is a pipe");
        BufReader::new(output).read_line(&mut number).expect("Xvfb says its number");
        assert!(!number.trim().is_empty(), "Xvfb did not start");
        Self { server, name: format!(":{}", number.trim()) }
    }

    /// What DISPLAY is to be.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits for a window whose title holds this, gives it the keyboard, and returns its number.
    ///
    /// # Panics
    ///
    /// When none appears.
    pub fn window(&self, title: &str) -> String {
        let limit = Instant::now() + Duration::from_secs(60);
        loop {
            let found = self.xdotool(&["search", "--onlyvisible", "--name", title]);
            if let Some(id) = found.lines().next() {
                self.xdotool(&["windowfocus", id]);
                return id.to_owned();
            }
            assert!(Instant::now() < limit, "no window is titled `{title}`");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Presses a key for long enough to be seen by a program that looks at the keyboard once a frame.
    pub fn key(&self, name: &str) {
        self.xdotool(&["keydown", name]);
        std::thread::sleep(Duration::from_millis(150));
        self.xdotool(&["keyup", name]);
        std::thread::sleep(Duration::from_millis(150));
    }

    /// Clicks at a place in a window.
    pub fn click(&self, window: &str, x: u32, y: u32) {
        self.xdotool(&["mousemove", "--window", window, &x.to_string(), &y.to_string()]);
        std::thread::sleep(Duration::from_millis(150));
        self.xdotool(&["mousedown", "1"]);
        std::thread::sleep(Duration::from_millis(150));
        self.xdotool(&["mouseup", "1"]);
    }

    /// Width and height of a window.
    pub fn size(&self, window: &str) -> (u32, u32) {
        let text = self.xdotool(&["getwindowgeometry", "--shell", window]);
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.parse().ok());
        field("WIDTH=").zip(field("HEIGHT=")).unwrap_or_else(|| panic!("no size in\n{text}"))
    }

    fn xdotool(&self, args: &[&str]) -> String {
        let out = Command::new("xdotool").args(args).env("DISPLAY", &self.name).output();
        let out = out.unwrap_or_else(|e| panic!("cannot run xdotool: {e}; `cargo xtask setup` installs it"));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        // Nothing is left to do about a server that is gone already.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
