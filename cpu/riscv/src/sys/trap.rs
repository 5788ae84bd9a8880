//! Taking traps and returning from them. Volume II, 3.1.6 and 10.1.

use super::{Privilege, irq, status};
use crate::state::State;

/// Interrupt numbers by falling priority.
const PRIORITY: [u64; 6] = [11, 3, 7, 9, 1, 5];

impl<const XLEN: u32> State<XLEN> {
    /// Enters the handler of an exception or interrupt raised at `epc`.
    pub(crate) fn enter_trap(&self, number: u64, interrupt: bool, epc: u64, tval: u64) {
        let sys = &self.sys;
        let from = sys.privilege.get();
        let delegated = if interrupt { sys.mideleg.get() } else { sys.medeleg.get() };
        let to_supervisor = from != Privilege::Machine && delegated >> (number & 63) & 1 != 0;
        let code = if interrupt { number | 1 << (XLEN - 1) } else { number };
        let mstatus = sys.mstatus.get();
        let (epc, tval) = (self.extend(epc), self.extend(tval));
        let vector = if to_supervisor {
            sys.scause.set(self.extend(code));
            sys.sepc.set(epc);
            sys.stval.set(tval);
            let mut new = mstatus & !(status::SPIE | status::SIE | status::SPP);
            new |= (mstatus & status::SIE) << 4;
            if from == Privilege::Supervisor {
                new |= status::SPP;
            }
            sys.mstatus.set(new);
            sys.privilege.set(Privilege::Supervisor);
            sys.stvec.get()
        } else {
            sys.mcause.set(self.extend(code));
            sys.mepc.set(epc);
            sys.mtval.set(tval);
            let mut new = mstatus & !(status::MPIE | status::MIE | status::MPP);
            new |= (mstatus & status::MIE) << 4 | (from as u64) << 11;
            sys.mstatus.set(new);
            sys.privilege.set(Privilege::Machine);
            sys.mtvec.get()
        };
        let base = vector & !3;
        let target = if interrupt && vector & 3 == 1 { base.wrapping_add(4 * number) } else { base };
        self.frame.pc.set(Self::mask_address(target));
        self.end_reservation();
        self.update_contexts();
    }

    pub(crate) fn end_reservation(&self) {
        self.sys.reservation.set(None);
    }

    /// `mret`, after its checks.
    pub(crate) fn machine_return(&self) -> u64 {
        let mstatus = self.sys.mstatus.get();
        let to = Privilege::from_bits(mstatus >> 11);
        let mut new = mstatus & !(status::MIE | status::MPP);
        new |= (mstatus & status::MPIE) >> 4 | status::MPIE;
        if to != Privilege::Machine {
            new &= !status::MPRV;
        }
        self.sys.mstatus.set(new);
        self.sys.privilege.set(to);
        self.end_reservation();
        self.update_contexts();
        self.sys.mepc.get()
    }

    /// `sret`, after its checks.
    pub(crate) fn supervisor_return(&self) -> u64 {
        let mstatus = self.sys.mstatus.get();
        let to = if mstatus & status::SPP != 0 { Privilege::Supervisor } else { Privilege::User };
        let mut new = mstatus & !(status::SIE | status::SPP | status::MPRV);
        new |= (mstatus & status::SPIE) >> 4 | status::SPIE;
        self.sys.mstatus.set(new);
        self.sys.privilege.set(to);
        self.end_reservation();
        self.update_contexts();
        self.sys.sepc.get()
    }

    /// `mip` as it reads now.
    pub(crate) fn pending(&self) -> u64 {
        self.sys.mip.get() | self.sys.lines.get() | if self.timer_pending.get() { irq::STI } else { 0 }
    }

    /// The interrupt to take before the next instruction.
    pub(crate) fn interrupt(&self) -> Option<u64> {
        let sys = &self.sys;
        let ready = self.pending() & sys.mie.get();
        if ready == 0 {
            return None;
        }
        let (mstatus, privilege) = (sys.mstatus.get(), sys.privilege.get());
        let mideleg = sys.mideleg.get();
        let machine = privilege != Privilege::Machine || mstatus & status::MIE != 0;
        let supervisor = match privilege {
            Privilege::User => true,
            Privilege::Supervisor => mstatus & status::SIE != 0,
            Privilege::Machine => false,
        };
        // Those for M-mode come before any for S-mode.
        let taken = match ready & !mideleg {
            0 => 0,
            bits if machine => bits,
            _ => 0,
        };
        let taken = if taken == 0 && supervisor { ready & mideleg } else { taken };
        PRIORITY.into_iter().find(|number| taken >> number & 1 != 0)
    }
}
