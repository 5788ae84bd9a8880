//! Build-time generator: instruction tables to decoder, disassembler, encoder and random generator.
