//! `hyperemu run`.

use crate::cli::{RunArgs, Speed};
use crate::error::UsageError;
use crate::host::console::Console;
use crate::host::expect::Expectations;
use crate::host::net::{NetSpec, Network};
use crate::host::radio::Radios;
use crate::host::record::Recording;
use crate::host::resources::HostResources;
use crate::host::runner::{Cue, Ending, Runner, Setup, Viewer};
use crate::host::semihosting::Semihosting;
use crate::host::window::Window;
use crate::host::{screenshot, stats};
use crate::machine::boot::{self, BootFiles, Layout};
use crate::machine::build::{self, Options};
use crate::machine::jit::JitMode;
use crate::machine::{Cpu, Machine, vectors};
use crate::{debug, images, load};
use cpu_core::Time;
use devices_core::{Frame, Port, Rng};
use machine_configs::{Board, Boot, Chosen};
use std::collections::VecDeque;
use std::io::Write;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Runs a machine; gives the exit status.
pub fn run(args: &RunArgs) -> Result<u8, UsageError> {
    let Some(name) = &args.machine else {
        return Err(UsageError::new("--machine is missing").help("`hyperemu machines` lists the boards"));
    };
    let board = args.board.compile(name)?;
    for node in &board.description.unknown {
        eprintln!(
            "hyperemu: warning: {}: no model for {:?}; it is left unmapped",
            node.position, node.compatible
        );
    }
    let replay = args.replay.as_deref().map(Recording::load).transpose()?;
    let seed = replay.as_ref().map_or(args.seed, |log| log.seed);
    let machine = assemble(&board, args, seed)?;
    let setup = setup(args, &machine, replay, seed)?;
    let cpu_start = stats::host_cpu_ns();
    let viewer = viewer(args, &board, &machine)?;
    let mut runner = Runner::new(machine, setup, viewer);
    for message in runner.machine.log.take() {
        eprintln!("hyperemu: {message}");
    }
    let ending = match &args.gdb {
        Some(address) => debug::serve(&mut runner, address, args.wait_gdb)?,
        None => runner.run(),
    };
    finish(args, &mut runner, &ending, stats::host_cpu_ns().saturating_sub(cpu_start))
}

/// Builds the machine and loads everything into it.
pub fn assemble(board: &Board, args: &RunArgs, seed: u64) -> Result<Machine, UsageError> {
    let description = &board.description;
    let arch = build::arch(description);
    let bare_firmware = args.firmware.as_deref() == Some("none");
    let firmware = match args.firmware.as_deref() {
        None | Some("none") => None,
        Some(file) => Some(load::load(file, arch)?),
    };
    let bare = bare_firmware || description.boot != Boot::Sbi;
    let mut resources = HostResources::new(&args.drive, args.share.clone(), args.net == NetSpec::User)?;
    let options = Options {
        seed,
        policy: args.unimplemented,
        builtin_sbi: firmware.is_none() && !bare,
        semihosting: args.semihosting.is_some(),
        resources: &mut resources,
    };
    let mut machine = build::build(board, options)?;
    if let Err(error) = machine.set_jit(args.jit, (args.jit_cache as usize) << 20) {
        eprintln!("hyperemu: warning: {error}; everything is interpreted");
        let _ = machine.set_jit(JitMode::Off, 0);
    }
    if let Some(addresses) = &args.dump_jit {
        dump_jit(&mut machine, addresses, args.dump_jit_file.as_deref())?;
    }
    if let Some(unused) = resources.unused().first() {
        return Err(UsageError::new(format!("there is no place for {unused}")));
    }
    let image = match args.image.as_ref().or(args.kernel.as_ref()) {
        Some(file) => Some(load::load(file, arch)?),
        None if firmware.is_some() => None,
        None => embedded(board, arch)?,
    };
    let initrd = match &args.initrd {
        Some(path) => Some((path.clone(), load::read_file(path)?)),
        None => None,
    };
    let mut extra = Vec::new();
    for text in &args.load {
        let image = load::load(text, arch)?;
        if matches!(image.format, load::Format::Raw) && image.entry.is_none() {
            return Err(
                UsageError::new(format!("--load {text}: an address is missing")).help("write FILE@ADDRESS")
            );
        }
        extra.push(image);
    }
    let files = BootFiles { firmware, image, initrd, extra, bare };
    if arch == load::Arch::ArmM {
        let table = description.reset_vector.unwrap_or(0);
        // A probe on the trace pin changes what the program finds: it is there only where somebody asks for it.
        if !args.serial.iter().any(|spec| spec.name.as_deref() == Some("itm")) {
            machine.itm = None;
        }
        machine.plan = vectors::plan(&machine.bus.services.memory, table, files)?;
        start(&mut machine, args)?;
        return Ok(machine);
    }
    let ram = description.ram().next();
    let (ram_base, ram_size) = ram.map_or((0, 0), |region| (region.base, region.size));
    let xlen = if arch == load::Arch::Riscv32 { 32 } else { 64 };
    let offset = if bare_firmware {
        0
    } else if xlen == 32 {
        0x40_0000
    } else {
        0x20_0000
    };
    let memory = machine.bus.services.memory.clone();
    let layout = Layout {
        memory: &memory,
        ram: ram_base,
        ram_size,
        xlen,
        default_address: ram_base.wrapping_add(offset),
        reset_pc: description.reset_vector,
    };
    let dtb = |initrd: Option<(u64, u64)>| {
        let mut rng = Rng::new(seed, "/chosen");
        let mut rng_seed = vec![0; 32];
        rng.fill(&mut rng_seed);
        let chosen = Chosen {
            bootargs: args.append.clone(),
            initrd: initrd.map(|(start, end)| start..end),
            rng_seed,
            kaslr_seed: None,
            boot_cpu: None,
        };
        board.dtb(&chosen)
    };
    machine.plan = boot::plan(&layout, files, dtb)?;
    start(&mut machine, args)?;
    Ok(machine)
}

/// Switches the machine on, and sets its surroundings.
fn start(machine: &mut Machine, args: &RunArgs) -> Result<(), UsageError> {
    boot::apply(machine, boot::Power::On);
    for (name, value) in &args.set {
        machine.set_control(name, value).map_err(|error| {
            UsageError::new(format!("--set {name}={value}: {error}"))
                .help(format!("`hyperemu machine show {} --controls` lists them", machine.name))
        })?;
    }
    Ok(())
}

/// Has compiled blocks listed.
fn dump_jit(
    machine: &mut Machine,
    addresses: &RangeInclusive<u64>,
    file: Option<&Path>,
) -> Result<(), UsageError> {
    if !cfg!(feature = "dump-jit") {
        return Err(UsageError::new(
            "--dump-jit: this hyperemu was built without a disassembler for the host",
        )
        .help("build it with `--features dump-jit`"));
    }
    let out: Box<dyn Write + Send> = match file {
        None => Box::new(std::io::stderr()),
        Some(path) => Box::new(std::fs::File::create(path).map_err(|error| {
            UsageError::new(format!("--dump-jit-file: can not write {}: {error}", path.display()))
        })?),
    };
    if machine.list_compiled(addresses, out) {
        return Ok(());
    }
    Err(UsageError::new("--dump-jit: nothing is compiled").help("leave out --jit=off"))
}

fn embedded(board: &Board, arch: load::Arch) -> Result<Option<load::Image>, UsageError> {
    let Some(name) = &board.description.image else {
        return Err(UsageError::new(format!("board {} has no embedded image", board.description.name))
            .help("give an IMAGE, --kernel or --firmware"));
    };
    let bytes = images::embedded(name).ok_or_else(|| {
        let message = format!("`hyperemu,image = \"{name}\"`: there is no such embedded image");
        UsageError::new(message).help("give an IMAGE, --kernel or --firmware")
    })?;
    Ok(Some(load::parse(Path::new(&format!("<embedded>/{name}")), bytes, None, arch)?))
}

fn setup(
    args: &RunArgs,
    machine: &Machine,
    replay: Option<Recording>,
    seed: u64,
) -> Result<Setup, UsageError> {
    let replay = match replay {
        Some(log) if log.machine != machine.name => {
            return Err(UsageError::new(format!("--replay: it was recorded on {}", log.machine)));
        }
        Some(log) => Some(VecDeque::from(log.inputs)),
        None => None,
    };
    let console = Console::open(machine, &args.serial)?;
    let radios = Radios::open(machine, replay.is_none(), args.pcap.as_deref())?;
    let semihosting = args.semihosting.as_ref().map(|folder| {
        let image = args.image.as_deref().or(args.kernel.as_deref()).unwrap_or_default();
        let words: Vec<&str> = std::iter::once(image).chain(args.append.as_deref()).collect();
        Semihosting::new(folder.as_deref(), words.join(" "))
    });
    let watched = console.interactive || windowed(args, machine);
    Ok(Setup {
        console,
        network: if replay.is_some() { Network::default() } else { Network::open(machine, args.net) },
        radios,
        expect: Expectations::new(args.expect.clone(), args.fail_on.clone()),
        semihosting: semihosting.transpose()?,
        timeout: args.timeout,
        host_timeout: args.host_timeout.map(|time| Duration::from_nanos(time.as_ns())),
        real_time: args.speed.map_or(watched, |speed| speed == Speed::Real),
        no_reboot: args.no_reboot,
        cues: cues(args, machine)?,
        record: args.record.is_some().then(|| Recording::new(&machine.name, seed)),
        replay,
    })
}

/// Whether the run has a window.
pub fn windowed(args: &RunArgs, machine: &Machine) -> bool {
    let display = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    args.window || (display && !args.headless && !machine.ports(Port::Display).is_empty())
}

/// The window, if there is to be one. Where nobody asked for it, a run goes on without.
fn viewer(args: &RunArgs, board: &Board, machine: &Machine) -> Result<Option<Box<dyn Viewer>>, UsageError> {
    if !windowed(args, machine) {
        return Ok(None);
    }
    match Window::open(board, machine, args.scale) {
        Ok(window) => Ok(Some(Box::new(window))),
        Err(error) if args.window => Err(UsageError::new(error).help("use --headless, or set DISPLAY")),
        Err(error) => {
            eprintln!("hyperemu: warning: {error}; running headless");
            Ok(None)
        }
    }
}

/// `--play`: lines of `seconds,value`, comments with `#`.
fn cues(args: &RunArgs, machine: &Machine) -> Result<VecDeque<Cue>, UsageError> {
    let mut cues = Vec::new();
    for (control, file) in &args.play {
        let spec = machine.controls().into_iter().find(|(_, spec)| spec.name == *control);
        let (_, spec) =
            spec.ok_or_else(|| UsageError::new(format!("--play: there is no control named {control}")))?;
        let path = PathBuf::from(file);
        let text = load::read_file(&path)?;
        for (number, line) in String::from_utf8_lossy(&text).lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') || (number == 0 && line.starts_with("time")) {
                continue;
            }
            let fail = |why: String| UsageError::new(format!("{file}:{}:1: {why}", number + 1));
            let (time, value) = line.split_once(',').ok_or_else(|| fail("expected seconds,value".into()))?;
            let at = crate::cli::values::time(&format!("{}s", time.trim())).map_err(fail)?;
            spec.parse(value.trim()).map_err(|error| fail(error.to_string()))?;
            cues.push(Cue { at, control: control.clone(), value: value.trim().to_string() });
        }
    }
    cues.sort_by_key(|cue| cue.at);
    Ok(cues.into())
}

/// Writes what was asked for at the end, says how it ended, and gives the exit status.
fn finish(args: &RunArgs, runner: &mut Runner, ending: &Ending, cpu_ns: u64) -> Result<u8, UsageError> {
    let now = runner.machine.now();
    let (status, message) = status(ending, runner);
    // One that can not be written must not cost the others, nor what the run has to say.
    let mut failed = Vec::new();
    if let Some(path) = &args.screenshot {
        failed.extend(take_screenshot(&runner.machine, path).err());
    }
    failed.extend(runner.finish_capture().err());
    if let Some(path) = &args.record
        && let Some(record) = runner.take_record()
    {
        failed.extend(record.save(path).err());
    }
    if let Some(path) = &args.stats {
        let text = format!("{:#}\n", stats::stats(&runner.machine, cpu_ns, status.into()));
        let written = std::fs::write(path, text);
        failed.extend(written.err().map(|error| format!("can not write {}: {error}", path.display())));
    }
    for error in &failed {
        eprintln!("hyperemu: error: {error}");
    }
    if let Some(message) = message {
        eprintln!("hyperemu: {message}");
        let command: Vec<String> = std::env::args_os().map(|arg| quoted(&arg.to_string_lossy())).collect();
        eprintln!("hyperemu: at virtual time {:.6} s, seed {}", now.as_secs_f64(), runner.machine.seed);
        eprintln!("hyperemu: to repeat: {}", command.join(" "));
        if std::env::var_os("GITHUB_ACTIONS").is_some() {
            eprintln!("::error::hyperemu: {message}");
        }
    }
    Ok(if status == 0 && !failed.is_empty() { 2 } else { status })
}

fn take_screenshot(machine: &Machine, path: &Path) -> Result<(), String> {
    let device = machine.ports(Port::Display).first().copied();
    let display = device.and_then(|device| machine.bus.slots[device].device.display());
    let mut frame = Frame::default();
    display.ok_or("--screenshot: this board has no screen")?.copy(&mut frame);
    screenshot::write_png(path, &frame)
}

/// An argument as a shell wants it.
fn quoted(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+.,:/@%".contains(c);
    if !arg.is_empty() && arg.chars().all(plain) {
        return arg.to_string();
    }
    format!("'{}'", arg.replace('\'', "'\\''"))
}

/// The exit status, and what to say if it is a failure.
pub(crate) fn status(ending: &Ending, runner: &Runner) -> (u8, Option<String>) {
    let unmet = runner.missing().map(|regex| format!("the console did not show /{regex}/"));
    let timeout = |time: Time| {
        let unmet = unmet.clone().map_or(String::new(), |unmet| format!(": {unmet}"));
        format!("timeout after {:.3} s of virtual time{unmet}", time.as_secs_f64())
    };
    match ending {
        Ending::Met | Ending::Quit => (0, None),
        Ending::PowerOff(0) | Ending::Reset => (if unmet.is_some() { 1 } else { 0 }, unmet),
        Ending::PowerOff(code) => {
            let code = u8::try_from(*code).unwrap_or(255).max(1);
            (code, Some(format!("the guest switched off with status {code}")))
        }
        Ending::Forbidden(regex) => (1, Some(format!("the console showed /{regex}/"))),
        Ending::Timeout => (124, Some(timeout(runner.machine.now()))),
        Ending::HostTimeout => (124, Some(format!("timeout of the host; {}", timeout(runner.machine.now())))),
        Ending::Lockup(core) => {
            let why = runner.machine.cores.get(*core).map(Cpu::post_mortem).unwrap_or_default();
            (4, Some(format!("core {core} locked up: {why}")))
        }
        Ending::Unimplemented(what) => (4, Some(what.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_shell_gives_back_what_was_quoted() {
        for arg in ["plain", "", "a b", "it's", "$HOME `x` \"y\"", "a\\b"] {
            let script = format!("printf %s {}", quoted(arg));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), arg);
        }
    }
}
