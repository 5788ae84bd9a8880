//! The commands that run kernels: natively, and in the same guest in both emulators.

use super::kernels::{Group, Kernel, Programs};
use crate::process::command;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where everything is.
pub struct Machines<'a> {
    /// The program under test.
    pub hyperemu: PathBuf,
    /// The cache of guest images.
    pub images: PathBuf,
    /// The kernels.
    pub programs: Programs,
    /// More arguments for hyperemu.
    pub arguments: &'a [&'a str],
}

/// For Linux while it runs kernels of ours: it shall not complain about having been stopped.
const PARAMETERS: &str = "loglevel=2 rcupdate.rcu_cpu_stall_suppress=1 nowatchdog";

impl Machines<'_> {
    /// What runs these kernels natively, in hyperemu and in QEMU. On bare metal, it is one kernel.
    pub fn commands(&self, kernels: &[&Kernel], quick: bool, with_qemu: bool) -> Vec<Command> {
        let Some(first) = kernels.first() else { return Vec::new() };
        let list: Vec<String> = kernels
            .iter()
            .map(|kernel| format!("{}:{}", kernel.program(), kernel.iterations(quick)))
            .collect();
        let mut native = command(&self.programs.native.to_string_lossy());
        native.args(&list);
        let [hyperemu, qemu] = if first.group == Group::Bare {
            let image = self.programs.bare(first);
            match first.is_cortex_m4() {
                true => [self.cortex_m4_hyperemu(&image), cortex_m4_qemu(&image)],
                false => [self.bare_hyperemu(&image), self.bare_qemu(&image)],
            }
        } else {
            let script = format!("bench {}; poweroff", list.join(" "));
            [self.hyperemu(PARAMETERS, &script), self.qemu(PARAMETERS, &script)]
        };
        [native, hyperemu].into_iter().chain(with_qemu.then_some(qemu)).collect()
    }

    /// Our tv with Linux, which runs `script` in its shell; with more parameters for Linux.
    pub fn hyperemu(&self, parameters: &str, script: &str) -> Command {
        let mut ours = self.ours("tv");
        ours.args(["--cpus", "1", "--memory", "512M", "--kernel"]);
        ours.arg(self.images.join("linux-riscv64/Image"));
        ours.arg("--initrd").arg(&self.programs.initramfs).args(["--append", &append(parameters, script)]);
        ours.args(self.arguments);
        ours
    }

    /// As [`Machines::hyperemu`], on QEMU's machine of the same devices.
    pub fn qemu(&self, parameters: &str, script: &str) -> Command {
        let mut qemu = qemu(64, "512M");
        qemu.arg("-bios").arg(self.images.join("opensbi/rv64/fw_dynamic.bin"));
        qemu.arg("-kernel").arg(self.images.join("linux-riscv64/Image"));
        qemu.arg("-initrd").arg(&self.programs.initramfs).args(["-append", &append(parameters, script)]);
        qemu
    }

    /// Our machine of 32 bits, with an image in machine mode.
    fn bare_hyperemu(&self, image: &Path) -> Command {
        let mut ours = self.ours("virt-riscv32");
        ours.arg("--firmware").arg(image).args(self.arguments);
        ours
    }

    fn bare_qemu(&self, image: &Path) -> Command {
        let mut qemu = qemu(32, "128M");
        qemu.arg("-bios").arg(image);
        qemu
    }

    /// Arm's MPS2 with a Cortex-M4, which ends by semihosting.
    fn cortex_m4_hyperemu(&self, image: &Path) -> Command {
        let mut ours = self.ours("mps2-an386");
        ours.arg(image).args(["--serial", "stdio", "--semihosting"]).args(self.arguments);
        ours
    }

    fn ours(&self, machine: &str) -> Command {
        let mut ours = command(&self.hyperemu.to_string_lossy());
        ours.args(["--machine", machine, "--headless", "--net", "none"]);
        ours
    }
}

fn qemu(bits: u32, memory: &str) -> Command {
    let mut qemu = command(&format!("qemu-system-riscv{bits}"));
    qemu.args(["-M", "virt", "-smp", "1", "-m", memory, "-nographic", "-nic", "none"]);
    qemu
}

/// As [`Machines::cortex_m4_hyperemu`].
fn cortex_m4_qemu(image: &Path) -> Command {
    let mut qemu = command("qemu-system-arm");
    qemu.args([
        "-M",
        "mps2-an386",
        "-display",
        "none",
        "-monitor",
        "none",
        "-serial",
        "stdio",
        "-nic",
        "none",
    ]);
    qemu.args(["-semihosting-config", "enable=on,target=native", "-kernel"]).arg(image);
    qemu
}

fn append(parameters: &str, script: &str) -> String {
    format!("cryptomgr.notests {parameters} console=ttyS0 RUN=\"{script}\"")
}

#[cfg(test)]
mod tests {
    use super::super::kernels::KERNELS;
    use super::*;

    #[test]
    fn the_command_line_fits() {
        let machines = Machines {
            hyperemu: "hyperemu".into(),
            images: "images".into(),
            programs: Programs::at(Path::new("programs")),
            arguments: &["--jit", "off"],
        };
        let (linux, bare): (Vec<&Kernel>, Vec<_>) =
            KERNELS.iter().partition(|kernel| kernel.group != Group::Bare);
        for command in machines.commands(&linux, false, true).iter().skip(1) {
            let longest = command.get_args().map(std::ffi::OsStr::len).max().unwrap();
            // Linux for riscv takes 1024 bytes, less what a board puts before.
            assert!((200..900).contains(&longest), "{command:?}");
        }
        for (kernel, image) in bare.iter().zip(["core-rv32", "core-m4", "filter-m4", "single-m4"]) {
            let commands = machines.commands(&[kernel], false, false);
            assert_eq!(commands.len(), 2);
            let image = format!("programs/{image}.elf");
            assert!(commands[1].get_args().any(|arg| *arg == *image), "{:?}", commands[1]);
            assert!(commands[1].get_args().any(|arg| arg == "--jit"), "{:?}", commands[1]);
        }
    }
}
