//! What a core is made of.

use cpu_core::Time;

use crate::isa::Features;

/// Version of the architecture.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Architecture {
    /// ARMv6-M (Cortex-M0, M0+).
    V6M,
    /// ARMv7-M (Cortex-M3).
    V7M,
    /// ARMv7-M with the DSP extension (Cortex-M4, M7).
    V7EM,
}

/// Everything that does not change while the core runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArmConfig {
    /// Index of the core on the bus.
    pub index: usize,
    /// Which instructions and exceptions exist.
    pub architecture: Architecture,
    /// FPv4-SP-D16.
    pub fpu: bool,
    /// MPU regions: 0 (no MPU), 8 or 16.
    pub mpu_regions: usize,
    /// Bits of an interrupt's priority that exist, the upper ones: 2 to 8.
    pub priority_bits: u32,
    /// External interrupts, at most 496 (ARMv6-M: 32).
    pub irqs: u32,
    /// Whether SRAM and peripherals have bit-band aliases (0x22000000, 0x42000000).
    pub bit_band: bool,
    /// Whether VTOR exists. ARMv7-M always has it.
    pub vtor: bool,
    /// Whether CONTROL.nPRIV exists. ARMv7-M always has it.
    pub unprivileged: bool,
    /// Whether SysTick exists. ARMv7-M always has it.
    pub systick: bool,
    /// VTOR at reset: where the first stack pointer and the reset handler's address are read.
    pub vector_table: u32,
    /// Of one clock cycle.
    pub period: Time,
    /// SysTick's reference clock in Hz; 0 if there is none (SYST_CALIB.NOREF).
    pub systick_reference: u64,
    /// SYST_CALIB.TENMS, and whether it is not exact (SYST_CALIB.SKEW).
    pub systick_ten_ms: (u32, bool),
    /// CPUID.
    pub cpuid: u32,
    /// BKPT 0xAB leaves [`cpu_core::Core::run`] with [`cpu_core::Exit::Semihosting`].
    pub semihosting: bool,
}

impl ArmConfig {
    /// A Cortex-M0 at 16 MHz with 32 interrupts.
    pub fn cortex_m0() -> ArmConfig {
        ArmConfig {
            index: 0,
            architecture: Architecture::V6M,
            fpu: false,
            mpu_regions: 0,
            priority_bits: 2,
            irqs: 32,
            bit_band: false,
            vtor: false,
            unprivileged: false,
            systick: true,
            vector_table: 0,
            period: Time(62_500),
            systick_reference: 0,
            systick_ten_ms: (0, true),
            cpuid: 0x410c_c200,
            semihosting: false,
        }
    }

    /// A Cortex-M3 at 64 MHz with 8 MPU regions, 3 priority bits and 64 interrupts.
    pub fn cortex_m3() -> ArmConfig {
        ArmConfig {
            architecture: Architecture::V7M,
            mpu_regions: 8,
            priority_bits: 3,
            irqs: 64,
            vtor: true,
            unprivileged: true,
            period: Time(15_625),
            cpuid: 0x412f_c230,
            ..ArmConfig::cortex_m0()
        }
    }

    /// A Cortex-M4 with FPU at 64 MHz with 8 MPU regions, 3 priority bits and 64 interrupts.
    pub fn cortex_m4f() -> ArmConfig {
        ArmConfig {
            architecture: Architecture::V7EM,
            fpu: true,
            cpuid: 0x410f_c241,
            ..ArmConfig::cortex_m3()
        }
    }

    /// Whether this is ARMv7-M, with or without DSP.
    pub fn is_v7m(&self) -> bool {
        self.architecture >= Architecture::V7M
    }

    /// The instructions that exist.
    pub fn features(&self) -> Features {
        let mut features = Features::V6M;
        if self.is_v7m() {
            features = features | Features::V7M;
        }
        if self.architecture == Architecture::V7EM {
            features = features | Features::DSP;
        }
        if self.fpu {
            features = features | Features::FP;
        }
        features
    }
}
