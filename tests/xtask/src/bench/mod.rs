//! `cargo xtask bench`: how fast the emulator is, as processor time, beside QEMU and beside the same C natively.
//!
//! The kernel, the initramfs and the command line are the same for both emulators; native runs and the emulators'
//! alternate kernel by kernel, so that a change in the machine's speed meets all. Figures are processor seconds of the whole process
//! (user and system, every thread), which other load stretches less than the clock's. A kernel starts cold: what an
//! emulator spends on compiling it counts.

mod chart;
mod kernels;
mod machines;
mod report;
mod run;

use crate::process::{self, command};
use crate::{Result, files, guests, setup};
use kernels::{Group, KERNELS, Kernel};
use machines::Machines;
use report::{Boot, Report, Row};
use run::{Figure, Session};
use std::path::{Path, PathBuf};

const USAGE: &str = "\
usage: cargo xtask bench [options] [-- ARGUMENT...]

  --runs N           counted runs of each (5)
  --quick            a fifth of the work
  --kernels A,B,...  only these; `loop` is the interpreter alone, `boot` is Linux to /init and power-off; --list
  --list             name the kernels
  --hyperemu FILE    measure this program instead of building it
  --no-qemu          leave QEMU out
  --json FILE        write every figure
  --markdown         print the README's table
  --chart FILE       draw the README's chart, as SVG
  -- ARGUMENT...     more arguments for hyperemu, as `-- --jit off`
";

/// Parts beside the kernels.
const LOOP: &str = "loop";
const BOOT: &str = "boot";

struct Options<'a> {
    runs: usize,
    quick: bool,
    kernels: Vec<&'static Kernel>,
    speed: bool,
    boot: bool,
    hyperemu: Option<PathBuf>,
    qemu: bool,
    json: Option<&'a str>,
    markdown: bool,
    chart: Option<&'a str>,
    arguments: Vec<&'a str>,
}

/// Runs the chore.
pub fn main(args: &[&str]) -> Result {
    match args {
        ["--help" | "-h"] => print!("{USAGE}"),
        ["--list"] => {
            println!("{LOOP:12}interpreter alone: integer loop, memory, calls");
            println!("{BOOT:12}Linux to /init and power-off");
            KERNELS.iter().for_each(|kernel| println!("{:12}{}", kernel.name, kernel.title));
        }
        _ => return bench(options(args)?),
    }
    Ok(())
}

fn options<'a>(args: &[&'a str]) -> Result<Options<'a>> {
    let mut options = Options {
        runs: 5,
        quick: false,
        kernels: KERNELS.iter().collect(),
        speed: true,
        boot: true,
        hyperemu: None,
        qemu: true,
        json: None,
        markdown: false,
        chart: None,
        arguments: Vec::new(),
    };
    let mut rest = args.iter().copied();
    while let Some(arg) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("bench: {arg} takes a value\n{USAGE}"));
        match arg {
            "--runs" => {
                let runs = value()?.parse().ok().filter(|runs| (1..=99).contains(runs));
                options.runs = runs.ok_or("bench: --runs takes 1 to 99")?;
            }
            "--quick" => options.quick = true,
            "--kernels" => {
                let names: Vec<&str> = value()?.split(',').collect();
                let known =
                    |name: &str| [LOOP, BOOT].contains(&name) || KERNELS.iter().any(|k| k.name == name);
                if let Some(name) = names.iter().find(|name| !known(name)) {
                    return Err(format!("bench: no kernel `{name}`; --list names them").into());
                }
                options.kernels.retain(|kernel| names.contains(&kernel.name));
                options.speed = names.contains(&LOOP);
                options.boot = names.contains(&BOOT);
            }
            "--hyperemu" => {
                options.hyperemu = Some(value()?.into());
            }
            "--no-qemu" => options.qemu = false,
            "--json" => options.json = Some(value()?),
            "--chart" => options.chart = Some(value()?),
            "--markdown" => options.markdown = true,
            "--" => options.arguments.extend(rest.by_ref()),
            other => return Err(format!("bench: no option `{other}`\n{USAGE}").into()),
        }
    }
    Ok(options)
}

fn bench(options: Options) -> Result {
    setup::bench(options.qemu)?;
    let images = guests::root()?;
    guests::ensure(&images, false)?;
    let programs = kernels::build(&images)?;
    let hyperemu = program(options.hyperemu.clone())?;
    if options.speed {
        println!("interpreter alone: integer loop, memory, calls; one hart, translation on");
        cargo(&["run", "--quiet", "--release", "--package", "cpu-riscv", "--example", "speed"])?;
        println!();
    }
    let machines = Machines { hyperemu, images, programs, arguments: &options.arguments };
    if options.kernels.is_empty() && !options.boot {
        return Ok(());
    }
    let report = measure(&options, &machines)?;
    for (name, value) in &report.about {
        println!("{name}: {value}");
    }
    println!("\n{}", report.table());
    if options.markdown {
        println!("{}", report.markdown());
    }
    if let Some(path) = options.chart {
        files::write(Path::new(path), report.chart())?;
    }
    if let Some(path) = options.json {
        files::write(Path::new(path), serde_json::to_string_pretty(&report.json())? + "\n")?;
    }
    Ok(())
}

/// The program to run: the one given, else the workspace's release build, brought up to date.
pub fn program(given: Option<PathBuf>) -> Result<PathBuf> {
    if let Some(path) = given {
        return files::named(path.canonicalize(), &path);
    }
    cargo(&["build", "--quiet", "--release", "--package", "hyperemu"])?;
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    Ok(workspace().join(target).join("release/hyperemu"))
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn cargo(args: &[&str]) -> Result {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    process::run(command(&cargo).args(args).current_dir(workspace()))
}

fn measure(options: &Options, machines: &Machines) -> Result<Report> {
    let mut about = vec![
        ("host", host()?),
        ("hyperemu", process::text(command(&machines.hyperemu.to_string_lossy()).arg("--version"))?),
    ];
    if options.qemu {
        about.push(("qemu", process::text(command("qemu-system-riscv64").arg("--version"))?));
    }
    about.push(("arguments", options.arguments.join(" ")));
    about.push(("runs", format!("{}{}", options.runs, if options.quick { ", quick" } else { "" })));
    let first_line = |text: String| text.lines().next().unwrap_or_default().to_owned();
    let about = about.into_iter().map(|(key, value)| (key, first_line(value))).collect();

    let boot = options.boot.then(|| boot(options, machines)).transpose()?;
    let row = |kernel: &&'static Kernel| Row { kernel, native: vec![], ours: vec![], qemu: vec![] };
    let mut rows: Vec<Row> = options.kernels.iter().map(row).collect();
    if rows.is_empty() {
        return Ok(Report { about, rows, boot });
    }
    let bare = rows.partition_point(|row| row.kernel.group != Group::Bare);
    let (linux, bare) = rows.split_at_mut(bare);
    for round in 1..=options.runs {
        eprintln!("run {round} of {}", options.runs);
        alternate(options, machines, linux)?;
        for row in bare.chunks_mut(1) {
            alternate(options, machines, row)?;
        }
    }
    Ok(Report { about, rows, boot })
}

/// Runs some kernels natively and in both emulators, each kernel in one after the other. They share a guest.
fn alternate(options: &Options, machines: &Machines, rows: &mut [Row]) -> Result {
    let kernels: Vec<&Kernel> = rows.iter().map(|row| row.kernel).collect();
    let mut sessions = Vec::new();
    for command in machines.commands(&kernels, options.quick, options.qemu) {
        let mut session = Session::start(&command)?;
        session.ready()?;
        sessions.push(session);
    }
    for row in rows {
        let measure = |session: &mut Session| session.measure(row.kernel, options.quick);
        let figures: Result<Vec<_>> = sessions.iter_mut().map(measure).collect();
        add(row, &figures?)?;
    }
    sessions.into_iter().try_for_each(Session::finish)
}

/// Adds a run's figures, native, of hyperemu and of QEMU, which must have computed the same.
fn add(row: &mut Row, figures: &[Figure]) -> Result {
    let [native, ours, qemu @ ..] = figures else { return Err("a figure is missing".into()) };
    let comparable = row.kernel.exact.then_some(native).into_iter().chain(qemu);
    for Figure { checksum, .. } in comparable {
        if *checksum != ours.checksum {
            let name = row.kernel.name;
            return Err(format!("{name}: hyperemu computes {} instead of {checksum}", ours.checksum).into());
        }
    }
    row.native.push(native.own_seconds);
    row.ours.push(ours.seconds);
    row.qemu.extend(qemu.iter().map(|qemu| qemu.seconds));
    Ok(())
}

/// Debian's kernel to /init and power-off.
fn boot(options: &Options, machines: &Machines) -> Result<Boot> {
    let mut boot = Boot { ours: Vec::new(), qemu: Vec::new() };
    // The first pair warms the host's caches.
    for round in 0..=options.runs {
        eprintln!("boot {round} of {}", options.runs);
        let ours = run::whole(&machines.hyperemu("", "poweroff"))?;
        let qemu = options.qemu.then(|| run::whole(&machines.qemu("", "poweroff"))).transpose()?;
        if round > 0 {
            boot.ours.push(ours);
            boot.qemu.extend(qemu);
        }
    }
    Ok(boot)
}

/// The host's processor.
fn host() -> Result<String> {
    let text = String::from_utf8(files::read(Path::new("/proc/cpuinfo"))?)?;
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let count = std::thread::available_parallelism()?;
    Ok(format!("{}, {count} processors", model.map_or("unknown", |(_, name)| name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let options = options(&["--runs", "2", "--kernels", "fib,boot", "--no-qemu", "--", "--jit", "off"]);
        let options = options.unwrap();
        assert_eq!((options.runs, options.boot, options.speed, options.qemu), (2, true, false, false));
        assert_eq!(options.kernels.iter().map(|kernel| kernel.name).collect::<Vec<_>>(), ["fib"]);
        assert_eq!(options.arguments, ["--jit", "off"]);
        for bad in [&["--runs", "0"][..], &["--kernels", "nothing"], &["--json"], &["--what"]] {
            assert!(super::options(bad).is_err(), "{bad:?}");
        }
    }
}
