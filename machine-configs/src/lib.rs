//! Boards as devicetrees: the compiler, the validator and the boards themselves.
