//! Guest memory, virtual time, the soft TLB, and the seams between cores, machine and bus.
