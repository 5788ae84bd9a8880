//! A busy guest whose code does not fit into the code cache and changes while it runs. `cargo xtask soak` is the same for
//! minutes.

use machine_tests::{Emulator, Outcome};

/// A program of 64 bits that rewrites an instruction of its own 3000 times, runs it 40 times each, and ends with 1 if
/// that added something else than it says.
const REWRITES: [u32; 27] = [
    0x0000_0917, // auipc s2, 0
    0x0349_0913, // addi s2, s2, place - _start
    0x0000_14b7, // lui s1, 1
    0xbb84_849b, // addiw s1, s1, -1096: 3000
    0x3ff4_f293, // 1: andi t0, s1, 0x3ff
    0x0142_9313, // slli t1, t0, 20
    0x0005_03b7, // lui t2, 0x50
    0x5133_8393, // addi t2, t2, 0x513: `addi a0, a0, 0`
    0x0073_6333, // or t1, t1, t2
    0x0069_2023, // sw t1, 0(s2)
    0x0000_100f, // fence.i
    0x0000_0513, // li a0, 0
    0x0280_0e13, // li t3, 40
    0x0010_0073, // place: ebreak, until it is rewritten
    0xfffe_0e13, // addi t3, t3, -1
    0xfe0e_1ce3, // bnez t3, place
    0x0052_9e93, // slli t4, t0, 5
    0x0032_9f13, // slli t5, t0, 3
    0x01ee_8eb3, // add t4, t4, t5
    0x01d5_1a63, // bne a0, t4, 2f
    0xfff4_8493, // addi s1, s1, -1
    0xfa04_9ee3, // bnez s1, 1b
    0x0000_0513, // li a0, 0
    0x0080_006f, // j 3f
    0x0010_0513, // 2: li a0, 1
    0x05d0_0893, // 3: li a7, 93: exit
    0x0000_0073, // ecall
];

/// An ELF file of one segment that may be written and run, in hexadecimal.
fn elf(code: &[u32]) -> String {
    const BASE: u64 = 0x1_0000;
    const HEADERS: u64 = 64 + 56;
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    let size = HEADERS + 4 * code.len() as u64;
    // An executable for RISC-V, version 1; entry, program headers, no sections; no flags.
    bytes.extend([2, 0, 243, 0, 1, 0, 0, 0]);
    [BASE + HEADERS, 64, 0].iter().for_each(|value: &u64| bytes.extend(value.to_le_bytes()));
    bytes.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
    // To be loaded, with all rights: from 0 of the file, to the base twice, sizes, alignment.
    bytes.extend([1, 0, 0, 0, 7, 0, 0, 0]);
    [0, BASE, BASE, size, size, 0x1000].iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    code.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn run(options: &[&str]) -> Outcome {
    let work = format!(
        "echo {}|xxd -r -p>/tmp/a;chmod +x /tmp/a;for i in 1 2 3;do /tmp/a&(seq $i 200|sed s/2/x/|sort -r|gzip|\
         zcat|awk '{{n+=length($0)}}END{{print n}}';find /sys/bus|wc -l;wait)|md5sum;wait $!&&echo fine $i;done;poweroff",
        elf(&REWRITES)
    );
    Emulator::linux("", 2, &work).args(options).run().ends_with(0)
}

#[test]
fn a_small_cache_and_code_that_changes_leave_no_trace() {
    let [interpreted, compiled] = [["--jit", "off"], ["--jit-cache", "1"]].map(|options| run(&options));
    for outcome in [&interpreted, &compiled] {
        for round in 1..=3 {
            assert!(outcome.text().contains(&format!("fine {round}\r\n")), "{outcome}");
        }
    }
    for name in ["instructions", "virtual_ns", "state_hash"] {
        assert_eq!(interpreted.stat(name), compiled.stat(name), "{name}");
    }
    let jit = compiled.stat("jit");
    let figure = |name: &str| jit[name].as_u64().unwrap_or(0);
    assert!(figure("flushes") > 0 && figure("invalidations") > 3 * 10, "{jit}");
}
