//! IEEE 754 arithmetic with exact results and flags for every rounding mode.
