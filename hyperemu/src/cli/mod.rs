//! The command line.

// The brackets of the help texts are not links.
#![allow(rustdoc::broken_intra_doc_links)]

/// `println!` for what a reader may cut short: `hyperemu machines | head -1` is no failure.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

pub mod doctor;
pub mod machines;
pub mod run;
pub mod values;

use crate::host::disk::DriveSpec;
use crate::host::serial::SerialSpec;
use crate::machine::UnimplementedPolicy;
use crate::machine::jit::JitMode;
use clap::{Args, Parser, Subcommand, ValueEnum};
use cpu_core::Time;
use machine_configs::{Board, Params, Source};
use std::path::PathBuf;

/// Runs boards' operating systems and apps without the hardware.
#[derive(Parser, Debug)]
#[command(name = "hyperemu", version, max_term_width = 110, args_conflicts_with_subcommands = true)]
#[command(after_help = "\
On the console: Ctrl-A X quits, Ctrl-A H lists the other keys.
Exit status: 0 expectations met or clean power-off, 1 an expectation failed, 2 usage or configuration, 3 a fault of
the emulator, 4 the guest crashed, 124 timeout. A test device's own code passes through.")]
pub struct Cli {
    /// Without a command: run.
    #[command(flatten)]
    pub run: RunArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Commands other than running.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run a machine (the default).
    Run(Box<RunArgs>),
    /// List the boards.
    Machines {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Look at one board.
    Machine {
        /// What to do with it.
        #[command(subcommand)]
        command: MachineCommand,
    },
    /// Check that this host has what hyperemu needs.
    Doctor,
}

/// What to do with a board.
#[derive(Subcommand, Debug)]
pub enum MachineCommand {
    /// Show its devices, addresses, interrupts and controls.
    Show(ShowArgs),
}

/// Arguments of `machine show`.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// A board's name, or a devicetree source file.
    #[arg(value_name = "NAME|FILE.dts")]
    pub machine: String,
    /// Print the compiled devicetree as source.
    #[arg(long, group = "format")]
    pub dts: bool,
    /// Write the devicetree blob that a guest gets.
    #[arg(long, group = "format", value_name = "FILE")]
    pub dtb: Option<PathBuf>,
    /// Only the controls.
    #[arg(long, group = "format")]
    pub controls: bool,
    /// As JSON.
    #[arg(long, group = "format")]
    pub json: bool,
    /// What changes the board.
    #[command(flatten)]
    pub board: BoardArgs,
}

/// What changes a board.
#[derive(Args, Debug, Default)]
pub struct BoardArgs {
    /// Size of main memory, such as 1G.
    #[arg(long, value_name = "SIZE", value_parser = values::size)]
    pub memory: Option<u64>,
    /// Number of cores.
    #[arg(long, value_name = "N")]
    pub cpus: Option<u32>,
    /// Set a property of a node, named by path, label or alias.
    #[arg(long = "param", value_name = "NODE.PROP=VALUE")]
    pub params: Vec<String>,
}

impl BoardArgs {
    /// Compiles a board with these changes.
    pub fn compile(&self, machine: &str) -> Result<Board, machine_configs::Error> {
        let params = Params {
            memory: self.memory,
            cpus: self.cpus,
            overrides: self.params.clone(),
            include: Vec::new(),
        };
        let mut board = machine_configs::compile(&Source::from_argument(machine), &params)?;
        board.classify(&crate::machine::build::is_known);
        Ok(board)
    }
}

/// How fast virtual time may pass.
#[derive(Copy, Clone, PartialEq, Eq, Debug, ValueEnum)]
pub enum Speed {
    /// As fast as the host can.
    Max,
    /// Not faster than real time.
    #[value(name = "1x")]
    Real,
}

/// Arguments of `run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// A board's name (see `hyperemu machines`), or a devicetree source file.
    #[arg(short, long, value_name = "NAME|FILE.dts")]
    pub machine: Option<String>,
    /// ELF, Linux Image, Intel HEX, UF2, or raw with @ADDRESS. Without it, the image embedded for the board.
    #[arg(value_name = "IMAGE")]
    pub image: Option<String>,
    /// What changes the board.
    #[command(flatten)]
    pub board: BoardArgs,

    /// Firmware that runs in M-mode, such as OpenSBI; `none` to start IMAGE in M-mode. Without it, the emulator
    /// answers SBI calls itself.
    #[arg(long, value_name = "FILE", help_heading = "Boot")]
    pub firmware: Option<String>,
    /// Same as IMAGE.
    #[arg(long, value_name = "FILE", conflicts_with = "image", help_heading = "Boot")]
    pub kernel: Option<String>,
    /// Initial RAM disk.
    #[arg(long, value_name = "FILE", help_heading = "Boot")]
    pub initrd: Option<PathBuf>,
    /// The kernel's command line.
    #[arg(long, value_name = "TEXT", help_heading = "Boot")]
    pub append: Option<String>,
    /// Load a further file to memory.
    #[arg(long, value_name = "FILE@ADDR", help_heading = "Boot")]
    pub load: Vec<String>,
    /// Stop instead of resetting when the guest reboots.
    #[arg(long, help_heading = "Boot")]
    pub no_reboot: bool,

    /// A disk, or what a flash chip keeps: file=F[,format=raw|qcow2][,readonly]. Repeat for more; they go to what takes one in
    /// the order of `machine show`.
    #[arg(long, value_name = "SPEC", help_heading = "Devices")]
    pub drive: Vec<DriveSpec>,
    /// Share a host directory with the guest by 9p, mount tag `share`.
    #[arg(long, value_name = "DIR", help_heading = "Devices")]
    pub share: Option<PathBuf>,
    /// Network: user (NAT, the guest is 10.0.2.15, the host 10.0.2.2) or none.
    #[arg(long, value_name = "user|none", default_value = "user", help_heading = "Devices")]
    pub net: crate::host::net::NetSpec,
    /// Serial ports in devicetree order: stdio, file:F, tcp:HOST:PORT[,server], unix:F[,server], pty, null. NAME=...
    /// addresses one; Arm boards have rtt and itm, what a debug probe would show.
    #[arg(long, value_name = "[NAME=]SPEC", help_heading = "Devices")]
    pub serial: Vec<SerialSpec>,
    /// Answer what the guest asks by semihosting: console, clock, exit, and the files of DIR if there is one.
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true, help_heading = "Devices")]
    pub semihosting: Option<Option<PathBuf>>,
    /// Set a control (see `machine show --controls`).
    #[arg(long, value_name = "CONTROL=VALUE", value_parser = values::assignment, help_heading = "Devices")]
    pub set: Vec<(String, String)>,
    /// Play a control from a CSV file of time in seconds and value.
    #[arg(long, value_name = "CONTROL=FILE.csv", value_parser = values::assignment, help_heading = "Devices")]
    pub play: Vec<(String, String)>,

    /// No window.
    #[arg(long, conflicts_with = "window", help_heading = "Screen")]
    pub headless: bool,
    /// A window; the default where there is a display and the board has a screen.
    #[arg(long, help_heading = "Screen")]
    pub window: bool,
    /// Window pixels for each screen pixel; fractions shrink.
    #[arg(long, value_name = "N", help_heading = "Screen")]
    pub scale: Option<f64>,
    /// Write the screen as PNG at the end.
    #[arg(long, value_name = "FILE.png", help_heading = "Screen")]
    pub screenshot: Option<PathBuf>,

    /// Stop at this virtual time, status 124.
    #[arg(long, value_name = "TIME", value_parser = values::time, help_heading = "Run")]
    pub timeout: Option<Time>,
    /// Stop after so much time of the host, status 124.
    #[arg(long, value_name = "TIME", value_parser = values::time, help_heading = "Run")]
    pub host_timeout: Option<Time>,
    /// Stop with status 0 once the console has shown all of these, in this order.
    #[arg(long, value_name = "REGEX", value_parser = values::regex, help_heading = "Run")]
    pub expect: Vec<regex::bytes::Regex>,
    /// Stop with status 1 when the console shows this.
    #[arg(long, value_name = "REGEX", value_parser = values::regex, help_heading = "Run")]
    pub fail_on: Vec<regex::bytes::Regex>,
    /// What all randomness of the run comes from.
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Run")]
    pub seed: u64,
    /// The default is 1x with a window or a terminal, max otherwise.
    #[arg(long, value_name = "SPEED", help_heading = "Run")]
    pub speed: Option<Speed>,
    /// What runs instructions; results are the same in every mode.
    #[arg(long, value_name = "MODE", default_value = "on", help_heading = "Run")]
    pub jit: JitMode,
    /// Code memory of each core's compiler, in MiB; when it is full, all code goes and compiling starts over.
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024),
        help_heading = "Run")]
    pub jit_cache: u16,
    /// List blocks as they are compiled: guest instructions, nodes and host code side by side. All of them, or those with
    /// an instruction at ADDR or in FROM-TO (virtual addresses).
    #[arg(long, value_name = "all|ADDR|FROM-TO", num_args = 0..=1, require_equals = true,
        default_missing_value = "all", value_parser = values::addresses, help_heading = "Run")]
    pub dump_jit: Option<std::ops::RangeInclusive<u64>>,
    /// Where --dump-jit goes; the default is stderr.
    #[arg(long, value_name = "FILE", requires = "dump_jit", help_heading = "Run")]
    pub dump_jit_file: Option<PathBuf>,
    /// What to do when the guest uses something that is not modelled.
    #[arg(long, value_name = "POLICY", default_value = "warn", help_heading = "Run")]
    pub unimplemented: UnimplementedPolicy,
    /// Write figures about the run as JSON at the end.
    #[arg(long, value_name = "FILE.json", help_heading = "Run")]
    pub stats: Option<PathBuf>,
    /// Write the frames of all radios, as pcapng.
    #[arg(long, value_name = "FILE.pcapng", help_heading = "Run")]
    pub pcap: Option<PathBuf>,
    /// Write everything that came from outside, for --replay.
    #[arg(long, value_name = "FILE", help_heading = "Run")]
    pub record: Option<PathBuf>,
    /// Repeat what came from outside in a recorded run.
    #[arg(long, value_name = "FILE", conflicts_with = "record", help_heading = "Run")]
    pub replay: Option<PathBuf>,

    /// Serve gdb at this address (default 127.0.0.1:1234).
    #[arg(long, value_name = "[HOST:]PORT", num_args = 0..=1, default_missing_value = "127.0.0.1:1234",
        require_equals = true, help_heading = "Debugging")]
    pub gdb: Option<String>,
    /// Wait for gdb before the first instruction.
    #[arg(long, requires = "gdb", help_heading = "Debugging")]
    pub wait_gdb: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
