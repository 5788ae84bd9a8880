//! Debian's gdb at the machine: what it sees is right, and what it does to the run is nothing.

use machine_tests::{Emulator, Outcome, Session, guest};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Starts a run with a gdb server; its port.
fn start(emulator: Emulator, arguments: &[&str]) -> (Session, String) {
    let mut session = emulator.arg("--gdb=127.0.0.1:0").args(arguments).start();
    let message = session.message(r"gdb: listening on 127\.0\.0\.1:[0-9]+");
    let port = message.rsplit(':').next().expect("the message ends with the port").to_owned();
    (session, port)
}

/// Debian's gdb with these commands, after it has connected.
fn gdb_command(port: &str, commands: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    // In the foreground, timeout passes a signal on once; else gdb gets Ctrl-C twice and gives up on the target.
    // Machines without a program to show have no width either.
    command.args([
        "--foreground",
        "500",
        "gdb-multiarch",
        "-nx",
        "-batch",
        "-ex",
        "set width 0",
        "-ex",
        "set remotetimeout 300",
    ]);
    command.args(["-ex", &format!("target remote 127.0.0.1:{port}")]);
    for text in commands {
        command.args(["-ex", text]);
    }
    command
}

/// What gdb says, errors and all.
fn gdb(port: &str, commands: &[&str]) -> String {
    let output = gdb_command(port, commands).output().expect("gdb-multiarch is installed");
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// Checks that a text has lines like these, in this order; each from the start of a line.
#[track_caller]
fn lines(text: &str, patterns: &[&str]) {
    let mut rest = text.lines();
    for pattern in patterns {
        let regex = regex::Regex::new(&format!("^(?:{pattern})")).expect("a valid pattern");
        assert!(rest.any(|line| regex.is_match(line)), "no `{pattern}` where it should be in\n{text}");
    }
}

/// Checks that two runs did the same.
#[track_caller]
fn same(plain: &Outcome, debugged: &Outcome) {
    for name in ["instructions", "virtual_ns", "state_hash", "exit"] {
        assert_eq!(plain.stat(name), debugged.stat(name), "{name}\n{plain}\n{debugged}");
    }
    assert!(plain.serial == debugged.serial, "the serial logs differ: first\n{plain}\nthen\n{debugged}");
}

fn firmware(harts: &str) -> Emulator {
    let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../firmware/images/tv.elf");
    Emulator::new("tv").args(["--cpus", harts, "--timeout", "200ms"]).arg(image)
}

fn linux(harts: &str, run: &str) -> Emulator {
    let initrd: PathBuf = guest("initramfs/riscv64-bare.cpio.gz");
    Emulator::new("tv")
        .args(["--cpus", harts, "--memory", "512M", "--kernel"])
        .arg(guest("linux-riscv64/Image"))
        .arg("--initrd")
        .arg(initrd)
        .args(["--append", &format!("cryptomgr.notests console=ttyS0 RUN=\"{run}\"")])
}

#[test]
fn shows_registers_threads_memory_and_the_monitor() {
    let (session, port) = start(firmware("4"), &["--wait-gdb"]);
    let said = gdb(
        &port,
        &[
            "info registers pc a1 ra",
            "info registers csr",
            "print $priv",
            "print $fcsr",
            "print $fa0",
            "info threads",
            "thread 2",
            "info registers pc",
            "thread 1",
            "x/1i $pc",
            "x/4xb 0x1000000000",
            "x/4xb 0x10000000",
            "set $a5 = 0x1234",
            "print $a5",
            "set {int} 0x90000000 = 0x55667788",
            "print/x *(short *) 0x90000002",
            "monitor help",
            "monitor info",
            "monitor device uart0",
            "monitor device nothing",
            "monitor memory",
            "monitor fly",
            "kill",
        ],
    );
    lines(
        &said,
        &[
            r"pc +0x80200000\b",
            r"a1 +0x[0-9a-f]+",
            r"ra +0x0\b",
            r"sstatus +0x",
            r"satp +0x0\b",
            r"misa +0x800000000014112f\b",
            r"mhartid +0x0\b",
            r"\$1 = 1\b",
            r"\$2 = 0\b",
            r"\$3 = \{float = 0, double = 0\}",
            r"\* 1 +Thread 1\.1 \(hart 0 at 0x80200000, S-mode",
            r"  4 +Thread 1\.4 \(hart 3 at .*stopped\)",
            r"\[Switching to thread 2 ",
            r"pc +0x0\b",
            r"=> 0x80200000:",
            r".*\$4 = 4660$",
            r"\$5 = 0x5566$",
            r"\[Inferior 1 \(process 1\) killed\]$",
        ],
    );
    // The monitor writes to gdb's standard error.
    lines(
        &said,
        &[
            r"monitor help +this list$",
            r"machine tv, seed 0",
            r"core 3: 0 instructions",
            r"uart0 \(/.*serial port",
            r"error: there is no device .nothing.; ",
            r"0x0000000010000000\.\.=0x00000000100000ff device uart0$",
            r"0x0000000080000000\.\.=.* RAM /memory",
            r"there is no command .fly.; ",
        ],
    );
    for address in ["0x1000000000", "0x10000000"] {
        assert!(said.contains(&format!("Cannot access memory at address {address}")), "{said}");
    }
    session.finish().ends_with(0);
}

#[test]
fn stops_and_steps_in_our_firmware_change_nothing() {
    let plain = firmware("4").run().ends_with(124);
    let (session, port) = start(firmware("4"), &["--wait-gdb"]);
    // Somewhere in the middle, by counting.
    let said = gdb(
        &port,
        &[
            "stepi 1000",
            "print/x $pc",
            "break *$pc",
            "continue",
            "print/x $pc",
            "stepi",
            "stepi 7",
            "delete",
            "continue",
        ],
    );
    lines(
        &said,
        &[r"\$1 = 0x802\w+$", r"Breakpoint 1 at 0x802\w+$", r".*[Bb]reakpoint 1, 0x", r"\$2 = 0x802\w+$"],
    );
    let address = |number: &str| {
        let start = format!("{number} = ");
        said.lines().find_map(|line| line.strip_prefix(&start)).expect("both are there").to_owned()
    };
    assert_eq!(address("$1"), address("$2"));
    lines(&said, &[r"\[Inferior 1 \(process 1\) exited with code 0174\]$"]);
    same(&plain, &session.finish());

    // In another run the same instruction is there without steps, and a hardware breakpoint is as good.
    let (session, port) = start(firmware("4"), &["--wait-gdb"]);
    let place = format!("hbreak *{}", address("$1"));
    let said = gdb(&port, &[&place, "continue", "monitor info", "disable", "continue"]);
    lines(&said, &[r".*[Bb]reakpoint 1, 0x", r"\[Inferior 1 .* exited with code 0174\]$"]);
    lines(&said, &[r"machine tv", r"core 0: \d+ instructions"]);
    same(&plain, &session.finish());
}

#[test]
fn a_sensor_board_has_32_bits_and_a_memory_map() {
    let (session, port) = start(Emulator::new("sensor"), &["--wait-gdb"]);
    let commands = [
        "show architecture",
        "info mem",
        "print sizeof($pc)",
        "stepi 100",
        "print $mcycle > 0",
        "monitor controls",
        "monitor quit",
    ];
    let said = gdb(&port, &commands);
    lines(
        &said,
        &[r".*riscv:rv32", r".*Using memory regions provided by the target", r"\$1 = 4$", r"\$2 = 1$"],
    );
    session.finish().ends_with(0);
}

#[test]
fn a_cortex_m_has_its_registers_and_thumb_breakpoints() {
    let image = guest("mps2/picolibc.elf");
    let run = || Emulator::new("mps2-an386").args(["--timeout", "30s", "--semihosting"]).arg(&image);
    let plain = run().run().ends_with(42);
    let (session, port) = start(run(), &["--wait-gdb"]);
    let said = gdb(
        &port,
        &[
            &format!("symbol-file {}", image.display()),
            "show architecture",
            "info mem",
            "info registers pc sp xpsr",
            "info registers msp psp primask basepri faultmask control",
            "break floats",
            "continue",
            "x/1i $pc",
            "print $xpsr & 0x1ff",
            "stepi 40",
            "print sizeof($d0) + sizeof($s3)",
            "print $fpscr",
            "info threads",
            "hbreak deep if n == 50",
            "continue",
            "backtrace 3",
            "delete",
            "continue",
        ],
    );
    lines(
        &said,
        &[
            r".*currently .arm",
            r".*Using memory regions provided by the target",
            r"pc +0x[0-9a-f]+ .*_start",
            r"sp +0x20\w+",
            r"xpsr +0x1000000\b",
            r"msp +0x20",
            r"psp +0x0\b",
            r"primask +0x0\b",
            r"basepri +0x0\b",
            r"faultmask +0x0\b",
            r"control +0x0\b",
            r"Breakpoint 1 at ",
            r"Breakpoint 1, ",
            r"=> 0x\w+ <floats",
            r"\$1 = 0$",
            r"\$2 = 12$",
            r"\$3 = \d+$",
            r"\* 1 +Thread 1\.1 \(core 0 at 0x\w+, privileged thread on msp",
            r"Breakpoint 2, .*deep",
            r"#0 .*deep",
            r"#1 .*main",
            r"\[Inferior 1 \(process 1\) exited with code 052\]$",
        ],
    );
    same(&plain, &session.finish());
}

/// The kernel's own word for where a function is.
fn address(plain: &Outcome, function: &str) -> String {
    let text = plain.text();
    let line = text.lines().find(|line| line.trim_end().ends_with(&format!(" T {function}")));
    let address =
        line.and_then(|line| line.split(' ').next()).unwrap_or_else(|| panic!("no {function} in\n{text}"));
    format!("*0x{address}")
}

fn linux_is_the_same_with_gdb(harts: &str) {
    let run = "grep -w -e start_kernel -e kernel_power_off -e schedule /proc/kallsyms; poweroff";
    let plain = linux(harts, run).run().ends_with(0);
    let (session, port) = start(linux(harts, run), &["--wait-gdb"]);
    let start_kernel = format!("break {}", address(&plain, "start_kernel"));
    let power_off = format!("break {}", address(&plain, "kernel_power_off"));
    let schedule = format!("tbreak {}", address(&plain, "schedule"));
    let said = gdb(
        &port,
        &[
            &start_kernel,
            "continue",
            "print $priv",
            "print $satp != 0",
            "x/1i $pc",
            "stepi 300",
            &schedule,
            "continue",
            "stepi 20",
            &power_off,
            "continue",
            "info threads",
            "print $a0 + $sp != 0",
            "continue",
        ],
    );
    lines(
        &said,
        &[
            r".*[Bb]reakpoint 1, 0xffffffff",
            r"\$1 = 1$",
            r"\$2 = 1$",
            r"=> 0xffffffff",
            r".*emporary breakpoint 2, 0xffffffff",
            r".*[Bb]reakpoint 3, 0xffffffff",
            r".*Thread 1\.1 \(hart 0 at 0x",
            r"\[Inferior 1 \(process 1\) exited normally\]$",
        ],
    );
    same(&plain, &session.finish());
}

#[test]
fn linux_on_one_hart_is_the_same_with_gdb() {
    linux_is_the_same_with_gdb("1");
}

#[test]
fn linux_on_four_harts_is_the_same_with_gdb() {
    linux_is_the_same_with_gdb("4");
}

/// Sends gdb what Ctrl-C sends, once it waits for the machine; what it says.
fn interrupt(mut gdb: Child, session: &mut Session) -> String {
    let mut output = BufReader::new(gdb.stdout.take().expect("standard output is a pipe"));
    let mut said = String::new();
    while !said.contains("ready") {
        let count = output.read_line(&mut said).expect("gdb writes text");
        assert!(count > 0, "gdb ended without continuing:\n{said}");
    }
    // The machine runs only once gdb has sent it off; then gdb is about to wait.
    session.send("echo $((7 * 7))\n");
    session.expect("\n49\r");
    std::thread::sleep(Duration::from_secs(1));
    let status = Command::new("kill").args(["-INT", &gdb.id().to_string()]).status();
    assert!(status.is_ok_and(|status| status.success()));
    output.read_to_string(&mut said).expect("gdb writes text");
    gdb.wait().expect("gdb ends");
    said
}

#[test]
fn comes_and_goes_while_the_machine_runs() {
    let (mut session, port) = start(linux("2", ""), &[]);
    session.expect("guest# ");
    let said =
        gdb(&port, &["info threads", "stepi", "print $pc != 0", "break *0xffffffff80000000", "detach"]);
    lines(
        &said,
        &[
            r"\* 1 +Thread 1\.1 \(hart 0 at",
            r"  2 +Thread 1\.2 \(hart 1 at",
            r"\$1 = 1$",
            r"\[Inferior 1 .*detached\]$",
        ],
    );
    session.send("echo $((6 * 7))\n");
    session.expect("\n42\r");
    // Again, and stop it from the keyboard.
    let mut command = gdb_command(&port, &["echo ready\\n", "continue", "monitor info", "kill"]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let said = interrupt(child.expect("gdb-multiarch is installed"), &mut session);
    lines(&said, &[r".*received signal SIGINT", r"\[Inferior 1 \(process 1\) killed\]$"]);
    session.finish().ends_with(0);
}

#[test]
fn an_address_that_can_not_be_is_refused() {
    let outcome = Emulator::new("tv").arg("--gdb=nowhere:port").run().ends_with(2);
    assert!(outcome.stderr.contains("--gdb=nowhere:port: can not listen"), "{outcome}");
}
