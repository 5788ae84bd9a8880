//! The protocol, packet by packet, with real harts behind it.

use crate::framing::{Framing, PACKET_SIZE, Received, frame};
use crate::{Answer, Architecture, End, Event, Session, Target, memory_map, target_description};
use cpu_core::{Core, EmptyBus, Exit, GuestMemory, MemoryKind, RegionSpec, Time};
use cpu_riscv::{Hart, HartConfig, Mmu};

const RAM: u64 = 0x8000_0000;
const RAM_SIZE: u64 = 0x4000;

/// `addi a0, a0, 1; nop; j .-8`.
const PROGRAM: [u32; 3] = [0x0015_0513, 0x0000_0013, 0xff9f_f06f];

/// How many instructions of the first hart a run lasts.
const LENGTH: u64 = 1000;

/// Harts that run ten instructions each in turn.
struct Toy {
    architecture: Architecture,
    harts: Vec<Hart>,
    memory: GuestMemory,
    turn: usize,
    left: u64,
}

impl Toy {
    fn new(harts: u64, base: &str, extensions: &[&str], mmu: Mmu) -> Toy {
        let ram = RegionSpec { name: "ram".into(), base: RAM, size: RAM_SIZE, kind: MemoryKind::Ram };
        let memory = GuestMemory::new(vec![ram]).unwrap();
        let program: Vec<u8> = PROGRAM.iter().flat_map(|word| word.to_le_bytes()).collect();
        memory.write(RAM, &program).unwrap();
        let hart = |id| {
            let mut config = HartConfig::new(id, base, extensions.iter().copied(), mmu).unwrap();
            config.reset_pc = RAM;
            Hart::new(config, memory.clone())
        };
        let architecture = if base == "rv32i" { Architecture::Riscv32 } else { Architecture::Riscv64 };
        Toy { architecture, harts: (0..harts).map(hart).collect(), memory, turn: 0, left: 10 }
    }

    /// All there is to know about it.
    fn state(&self) -> Vec<Vec<u8>> {
        self.harts.iter().map(|hart| hart.save()).chain([vec![self.turn as u8, self.left as u8]]).collect()
    }
}

impl Target for Toy {
    fn architecture(&self) -> Architecture {
        self.architecture
    }

    fn cores(&self) -> usize {
        self.harts.len()
    }

    fn core(&self, index: usize) -> Option<&dyn Core> {
        self.harts.get(index).map(|hart| hart as &dyn Core)
    }

    fn core_mut(&mut self, index: usize) -> Option<&mut dyn Core> {
        self.harts.get_mut(index).map(|hart| hart as &mut dyn Core)
    }

    fn memory(&self) -> &GuestMemory {
        &self.memory
    }

    fn run(&mut self, limit: Option<(usize, u64)>) -> Event {
        if self.harts[0].instructions() >= LENGTH {
            return Event::Ended(7);
        }
        let turn = self.turn;
        let hart = &mut self.harts[turn];
        let limit = limit.filter(|(core, _)| *core == turn).map(|(_, count)| count);
        let budget = limit.map_or(self.left, |count| self.left.min(count - hart.instructions()));
        let ran = hart.run(&mut EmptyBus, Time::from_ns(hart.instructions()), budget);
        self.left -= ran.executed;
        if self.left == 0 {
            self.turn = (turn + 1) % self.harts.len();
            self.left = 10;
        }
        if ran.exit == Exit::Breakpoint {
            return Event::Breakpoint(turn);
        }
        if limit == Some(self.harts[turn].instructions()) { Event::Limit } else { Event::Running }
    }

    fn monitor(&mut self, command: &str) -> Answer {
        Answer { text: format!("you said {command:?}\n"), quit: command == "quit" }
    }
}

/// A client that packs and unpacks.
struct Client {
    session: Session<Toy>,
}

impl Client {
    fn new(harts: u64) -> Client {
        Client { session: Session::new(Toy::new(harts, "rv64i", &["g", "c"], Mmu::Sv39)) }
    }

    /// Sends a packet; all packets that come back.
    fn send(&mut self, body: &str) -> Vec<String> {
        self.session.receive(&frame(body.as_bytes()));
        unpack(&self.session.take_output())
    }

    /// Sends a packet to which there is one answer.
    fn ask(&mut self, body: &str) -> String {
        let mut answers = self.send(body);
        assert_eq!(answers.len(), 1, "{body}: {answers:?}");
        answers.remove(0)
    }

    /// Resumes, and runs to the stop.
    fn resume(&mut self, body: &str) -> String {
        assert_eq!(self.send(body), [""; 0], "{body}");
        while self.session.is_running() {
            self.session.run();
        }
        unpack(&self.session.take_output()).join(" ")
    }

    fn pc(&mut self, hart: usize) -> u64 {
        self.session.target().harts[hart].pc()
    }
}

/// The bodies of packets, runs expanded.
fn unpack(mut bytes: &[u8]) -> Vec<String> {
    let mut bodies = Vec::new();
    while let Some(start) = bytes.iter().position(|byte| *byte == b'$') {
        let end = start + bytes[start..].iter().position(|byte| *byte == b'#').unwrap();
        let mut body = String::new();
        let mut characters = bytes[start + 1..end].iter();
        while let Some(&byte) = characters.next() {
            if byte == b'*' {
                let last = body.chars().next_back().unwrap();
                let count = characters.next().unwrap() - 29;
                body.extend((0..count).map(|_| last));
            } else {
                body.push(byte as char);
            }
        }
        bodies.push(body);
        bytes = &bytes[end + 3..];
    }
    bodies
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The state of a run that nobody debugged.
fn undisturbed(harts: u64) -> Vec<Vec<u8>> {
    let mut toy = Client::new(harts).session.into_target();
    while toy.run(None) != Event::Ended(7) {}
    toy.state()
}

#[test]
fn packets_are_acknowledged_and_sent_again() {
    let mut framing = Framing::new();
    let receive = |framing: &mut Framing, bytes: &[u8]| -> Vec<Received> {
        bytes.iter().filter_map(|byte| framing.receive(*byte)).collect()
    };
    assert_eq!(receive(&mut framing, b"+$g#67"), [Received::Packet(b"g".to_vec())]);
    framing.send(b"00");
    assert_eq!(framing.take_output(), b"+$00#60");
    assert_eq!(receive(&mut framing, b"-"), []);
    assert_eq!(framing.take_output(), b"$00#60");
    // A wrong sum, no sum, and a packet that is cut off by the next.
    assert_eq!(receive(&mut framing, b"$g#68$g#zz$m0,4$?#3f"), [Received::Packet(b"?".to_vec())]);
    assert_eq!(framing.take_output(), b"--+");
    assert_eq!(receive(&mut framing, b"\x03"), [Received::Interrupt]);
    let long = vec![b'x'; PACKET_SIZE];
    assert_eq!(receive(&mut framing, &frame(&long)), [Received::Oversized]);
    assert_eq!(framing.take_output(), b"+");
    framing.stop_acknowledging();
    assert_eq!(receive(&mut framing, b"$g#67-"), [Received::Packet(b"g".to_vec())]);
    assert_eq!(framing.take_output(), b"");
}

#[test]
fn descriptions_list_what_a_core_has() {
    let full = Toy::new(1, "rv64i", &["g", "c", "zicntr"], Mmu::Sv39);
    let xml = target_description(full.architecture, full.harts[0].registers());
    for line in [
        "<architecture>riscv:rv64</architecture>",
        "<feature name=\"org.gnu.gdb.riscv.cpu\">",
        "<reg name=\"zero\" bitsize=\"64\" regnum=\"0\" type=\"int\" group=\"general\"/>",
        "<reg name=\"pc\" bitsize=\"64\" regnum=\"32\" type=\"code_ptr\" group=\"general\"/>",
        "<feature name=\"org.gnu.gdb.riscv.fpu\">",
        "<reg name=\"ft0\" bitsize=\"64\" regnum=\"33\" type=\"ieee_double\" group=\"float\"/>",
        "<reg name=\"fcsr\" bitsize=\"32\" regnum=\"68\" type=\"int\" group=\"float\"/>",
        "<feature name=\"org.gnu.gdb.riscv.csr\">",
        "<reg name=\"satp\" bitsize=\"64\" regnum=\"449\" type=\"int\" group=\"system\"/>",
        "<feature name=\"org.gnu.gdb.riscv.virtual\">",
        "<reg name=\"priv\" bitsize=\"64\" regnum=\"4161\" type=\"int\" group=\"system\"/>",
    ] {
        assert_eq!(xml.lines().filter(|found| *found == line).count(), 1, "{line}\n{xml}");
    }
    assert_eq!(xml.matches("<feature").count(), xml.matches("</feature>").count());
    let small = Toy::new(1, "rv32i", &["i", "m", "zicsr"], Mmu::None);
    let xml = target_description(small.architecture, small.harts[0].registers());
    assert!(xml.contains("<architecture>riscv:rv32</architecture>"), "{xml}");
    assert!(xml.contains("<reg name=\"mstatus\" bitsize=\"32\" regnum=\"833\""), "{xml}");
    assert!(!xml.contains("riscv.fpu") && !xml.contains("satp"), "{xml}");
}

#[test]
fn only_machines_without_translation_have_a_memory_map() {
    let rom = RegionSpec { name: "rom".into(), base: 0x2000_0000, size: 0x1000, kind: MemoryKind::Rom };
    assert!(
        memory_map([&rom].into_iter())
            .contains("<memory type=\"rom\" start=\"0x20000000\" length=\"0x1000\"/>")
    );
    assert!(!Client::new(1).ask("qSupported:multiprocess+").contains("memory-map"));
    let small = Toy::new(1, "rv32i", &["i", "zicsr"], Mmu::None);
    let mut client = Client { session: Session::new(small) };
    assert!(client.ask("qSupported:multiprocess+").contains("qXfer:memory-map:read+"));
    let map = client.ask("qXfer:memory-map:read::0,1000");
    assert!(map.contains("<memory type=\"ram\" start=\"0x80000000\" length=\"0x4000\"/>"), "{map}");
    assert_eq!(client.ask("qXfer:memory-map:read::ffff,1000"), "l");
}

#[test]
fn the_description_comes_in_pieces() {
    let mut client = Client::new(1);
    let whole = target_description(Architecture::Riscv64, client.session.target().harts[0].registers());
    let mut got = String::new();
    loop {
        let piece = client.ask(&format!("qXfer:features:read:target.xml:{:x},100", got.len()));
        match piece.split_at(1) {
            ("m", text) => got.push_str(text),
            (mark, _) => break assert_eq!(mark, "l"),
        }
    }
    assert_eq!(got, whole);
    assert!(client.ask("qXfer:features:read:other.xml:0,100").starts_with('E'));
}

#[test]
fn registers_are_read_and_written() {
    let mut client = Client::new(2);
    let all = client.ask("g");
    assert_eq!(all.len(), 33 * 16);
    assert!(all.ends_with(&hex(&RAM.to_le_bytes())));
    assert_eq!(client.ask("Pa=1122334455667788"), "OK");
    assert_eq!(client.session.target().harts[0].x(10), 0x8877_6655_4433_2211);
    assert_eq!(client.ask("pa"), "1122334455667788");
    // A CSR by its own rules: an implementation decides what is kept.
    assert_eq!(client.ask(&format!("P{:x}={}", 65 + 0x340, hex(&7u64.to_le_bytes()))), "OK");
    assert_eq!(client.ask(&format!("p{:x}", 65 + 0x340)), hex(&7u64.to_le_bytes()));
    assert!(
        client.ask(&format!("P{:x}={}", 65 + 0xf14, hex(&7u64.to_le_bytes()))).starts_with('E'),
        "mhartid"
    );
    // The other core, all at once.
    assert_eq!(client.ask("Hg2"), "OK");
    let mhartid = format!("p{:x}", 65 + 0xf14);
    assert_eq!(client.ask(&mhartid), hex(&1u64.to_le_bytes()));
    let mut bytes = vec![0; 33 * 8];
    bytes[11 * 8] = 9;
    bytes[32 * 8..].copy_from_slice(&(RAM + 4).to_le_bytes());
    assert_eq!(client.ask(&format!("G{}", hex(&bytes))), "OK");
    assert_eq!(client.session.target().harts[1].x(11), 9);
    assert_eq!(client.pc(1), RAM + 4);
    for bad in ["p1fff", "Pa=11", "G0011", "p", "Hg7", "pffffffffffffffff"] {
        let answer = client.ask(bad);
        assert!(answer.is_empty() || answer.starts_with('E') || bad == "Hg7", "{bad}: {answer}");
    }
    assert!(client.ask("g").starts_with('E'), "there is no thread 7");
}

#[test]
fn memory_is_read_and_written() {
    let mut client = Client::new(1);
    assert_eq!(client.ask("m80000000,4"), "13051500");
    assert_eq!(client.ask("M80001000,3:a1b2c3"), "OK");
    assert_eq!(client.ask("m80001000,4"), "a1b2c300");
    assert_eq!(client.ask("X80000ffe,4:abcd"), "OK");
    assert_eq!(client.ask("m80000ffe,4"), hex(b"abcd"));
    // What is there of a range, and nothing where nothing is.
    assert_eq!(client.ask("m80003ffe,8"), "0000");
    for bad in [
        "m0,4",
        "m80004000,1",
        "mffffffffffffffff,10",
        "m80000000,ffffffffffffffff",
        "m80000000",
        "m,",
        "m,4",
        "m00000000080000000,4",
    ] {
        let answer = client.ask(bad);
        assert!(answer.starts_with('E') || answer.is_empty(), "{bad}: {answer}");
    }
    for bad in ["M80003ffe,4:01020304", "M0,1:00", "Mffffffffffffffff,2:0000"] {
        assert!(client.ask(bad).starts_with('E'), "{bad}");
    }
    assert_eq!(client.ask("m80003ffe,2"), "0000", "no half of a write");
    // New code is run.
    assert_eq!(client.resume("vCont;s:1"), "T05thread:01;");
    assert_eq!(client.ask("M80000000,4:13052500"), "OK", "addi a0, a0, 2");
    for _ in 0..3 {
        client.resume("vCont;s:1");
    }
    assert_eq!(client.ask("pa"), hex(&3u64.to_le_bytes()));
}

#[test]
fn threads_are_cores() {
    let mut client = Client::new(2);
    assert!(client.ask("qSupported:multiprocess+;swbreak+").contains("PacketSize=4000"));
    assert_eq!(client.ask("qfThreadInfo"), "mp01.01,p01.02");
    assert_eq!(client.ask("qsThreadInfo"), "l");
    assert_eq!(client.ask("Tp1.2"), "OK");
    assert!(client.ask("Tp1.3").starts_with('E'));
    let name = client.ask("qThreadExtraInfo,p1.2");
    assert!(name.starts_with(&hex(b"hart 1 at 0x80000000, M-mode")), "{name}");
    assert_eq!(client.ask("?"), "T05thread:p01.01;");
}

#[test]
fn a_breakpoint_stops_before_its_instruction() {
    let mut client = Client::new(1);
    client.ask("qSupported:swbreak+");
    assert_eq!(client.ask("Z0,80000004,4"), "OK");
    for turn in 1..4u64 {
        // Without the client's stepping over it by hand.
        assert_eq!(client.resume("vCont;c"), "T05thread:01;swbreak:;");
        assert_eq!(client.pc(0), RAM + 4);
        assert_eq!(client.ask("pa"), hex(&turn.to_le_bytes()));
    }
    assert_eq!(client.ask("z0,80000004,4"), "OK");
    assert!(client.ask("z0,80000004,4").starts_with('E'), "it is gone");
    assert_eq!(client.ask("Z1,80000008,4"), "OK");
    assert_eq!(client.resume("c"), "T05thread:01;hwbreak:;");
    assert_eq!(client.ask("z1,80000008,4"), "OK");
    assert_eq!(client.resume("vCont;c"), "W07");
    assert_eq!(client.session.end(), Some(End::Exited));
    assert_eq!(client.session.into_target().state(), undisturbed(1));
}

#[test]
fn each_core_tells_of_its_breakpoint() {
    let mut client = Client::new(2);
    client.ask("Z0,80000000,4");
    let mut stops = [0; 2];
    loop {
        let stop = client.resume("vCont;c");
        match stop.as_str() {
            "T05thread:01;swbreak:;" => stops[0] += 1,
            "T05thread:02;swbreak:;" => stops[1] += 1,
            other => break assert_eq!(other, "W07"),
        }
    }
    // Each comes by once in three instructions; the second has made as many turns of ten.
    assert_eq!(stops, [334, 330]);
    assert_eq!(client.session.into_target().state(), undisturbed(2));
}

#[test]
fn steps_are_exact() {
    let mut client = Client::new(2);
    for count in 1..=30 {
        assert_eq!(client.resume("vCont;s:2;c"), "T05thread:02;");
        let harts = &client.session.target().harts;
        assert_eq!(harts[1].instructions(), count);
        // The first runs its own turns meanwhile, and no more than that.
        assert_eq!(harts[0].instructions(), 10 * (count - 1).div_euclid(10) + 10);
    }
    assert_eq!(client.resume("vCont;s:1"), "T05thread:01;");
    assert_eq!(client.session.target().harts[0].instructions(), 31);
    assert_eq!(client.resume("vCont;c"), "W07");
    assert_eq!(client.session.into_target().state(), undisturbed(2));
}

#[test]
fn a_range_is_stepped_until_it_is_left() {
    let mut client = Client::new(1);
    assert_eq!(client.resume("vCont;r80000000,80000008:1;c"), "T05thread:01;");
    assert_eq!((client.pc(0), client.session.target().harts[0].instructions()), (RAM + 8, 2));
    client.ask("Z0,80000004,4");
    assert_eq!(client.resume("vCont;r80000000,8000000c:1;c"), "T05thread:01;swbreak:;");
    assert_eq!((client.pc(0), client.session.target().harts[0].instructions()), (RAM + 4, 4));
    // A step starts at a breakpoint as well.
    assert_eq!(client.resume("vCont;s:1;c"), "T05thread:01;");
    assert_eq!(client.pc(0), RAM + 8);
}

#[test]
fn an_interrupt_stops_a_running_target_only() {
    let mut client = Client::new(1);
    client.session.receive(b"\x03");
    assert_eq!(unpack(&client.session.take_output()), [""; 0]);
    client.send("vCont;c");
    client.session.run();
    assert!(client.session.is_running());
    client.session.receive(b"\x03");
    assert_eq!(unpack(&client.session.take_output()), ["T02thread:01;"]);
    // A client that does not wait for the stop stops it too.
    client.send("vCont;c");
    client.session.run();
    assert_eq!(client.send("qfThreadInfo"), ["T02thread:01;", "m01"]);
    assert_eq!(client.resume("vCont;c"), "W07");
    assert_eq!(client.session.into_target().state(), undisturbed(1));
}

#[test]
fn a_session_ends_as_the_client_wants() {
    let mut client = Client::new(1);
    client.ask("Z0,80000004,4");
    assert_eq!(client.ask("D;1"), "OK");
    assert_eq!(client.session.end(), Some(End::Detached));
    let mut toy = client.session.into_target();
    while toy.run(None) == Event::Running {}
    assert_eq!(toy.run(None), Event::Ended(7), "the breakpoint is gone");

    let mut client = Client::new(1);
    assert_eq!(client.send("k"), [""; 0]);
    assert_eq!(client.session.end(), Some(End::Killed));
    let mut client = Client::new(1);
    assert_eq!(client.ask("vKill;1"), "OK");
    assert_eq!(client.session.end(), Some(End::Killed));
    let mut client = Client::new(1);
    assert_eq!(client.send(&format!("qRcmd,{}", hex(b"quit"))).last().unwrap(), "OK");
    assert_eq!(client.session.end(), Some(End::Killed));
}

#[test]
fn monitor_commands_reach_the_target() {
    let mut client = Client::new(1);
    let answers = client.send(&format!("qRcmd,{}", hex(b"  device plic ")));
    let said = hex(b"you said \"device plic\"\n");
    assert_eq!(answers, [format!("O{said}"), "OK".to_string()]);
    // However long it is.
    let long = "x".repeat(2000);
    let answers = client.send(&format!("qRcmd,{}", hex(long.as_bytes())));
    assert!(answers.len() > 3 && answers.iter().all(|answer| answer.len() < 1100));
}

#[test]
fn after_a_bad_packet_the_session_is_as_before() {
    let mut client = Client::new(2);
    client.ask("qSupported:multiprocess+;swbreak+");
    assert_eq!(client.ask("QStartNoAckMode"), "OK");
    client.ask("Hgp1.2");
    for bad in
        ["vCont;s", "vCont;r1", "vCont;x:1", "vCont;s:p1.9", "Zx", "Z0,zz,4", "G", "Mzz,1:00", "Hg-1", "T0"]
    {
        let answer = client.ask(bad);
        assert!(answer.starts_with('E') || answer.is_empty(), "{bad}: {answer}");
        assert!(!client.session.is_running(), "{bad}");
    }
    assert_eq!(client.ask("qfThreadInfo"), "mp01.01,p01.02");
    let mhartid = format!("p{:x}", 65 + 0xf14);
    assert_eq!(client.ask(&mhartid), hex(&1u64.to_le_bytes()), "still the second hart");
    client.session.receive(&frame(b"?"));
    assert_eq!(client.session.take_output().first(), Some(&b'$'), "still without acknowledgement");
}

/// Random packets, made of pieces of real ones.
#[test]
fn nothing_from_a_client_panics_or_hangs() {
    const PIECES: [&str; 44] = [
        "m",
        "M",
        "X",
        "g",
        "G",
        "p",
        "P",
        "Z0",
        "z0",
        "Z1",
        "Z2",
        "z4",
        "vCont",
        ";c",
        ";s",
        ";r",
        ":1",
        ":p1.2",
        "H",
        "g",
        "c",
        "T",
        "q",
        "Q",
        "qXfer:features:read:",
        "target.xml",
        ":",
        ",",
        ";",
        "=",
        "80000000",
        "ffffffffffffffff",
        "0",
        "4",
        "-1",
        "qRcmd,",
        "vFile:open:",
        "qSupported:",
        "multiprocess+",
        "vCont?",
        "*",
        "}",
        "bc",
        "qThreadExtraInfo,",
    ];
    let mut seed = 0x1234_5678_9abc_def1u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 11) as usize % below
    };
    let mut client = Client::new(2);
    let mut sessions = 0;
    for _ in 0..20_000 {
        let mut body = Vec::new();
        for _ in 0..random(7) {
            match random(8) {
                0 => body.push(random(256) as u8),
                _ => body.extend_from_slice(PIECES[random(PIECES.len())].as_bytes()),
            }
        }
        match random(20) {
            0 => client.session.receive(&body),
            _ => client.session.receive(&frame(&body)),
        }
        for _ in 0..3 {
            client.session.run();
        }
        client.session.take_output();
        if client.session.end().is_some() {
            client = Client::new(2);
            sessions += 1;
        }
    }
    if client.session.is_running() {
        client.session.receive(b"\x03");
    }
    // Whatever packet was open, a new one starts here.
    client.session.receive(b"#00");
    client.session.take_output();
    assert!(client.ask("?").starts_with('T'));
    assert!(sessions < 2000, "most packets should not end the session: {sessions}");
}
