//! UF2 (Microsoft, github.com/microsoft/uf2): blocks of 512 bytes, each with its address.

use super::Segment;

const MAGIC: [u32; 2] = [0x0a32_4655, 0x9e5d_5157];
const MAGIC_END: u32 = 0x0ab1_6f30;
const NOT_MAIN_FLASH: u32 = 1;
const FILE_CONTAINER: u32 = 0x1000;

/// The data by address, joined where it is contiguous; `None` if it is not UF2.
pub fn parse(bytes: &[u8]) -> Result<Option<Vec<Segment>>, String> {
    let word = |block: &[u8], index: usize| {
        let field = block.get(index * 4..index * 4 + 4).and_then(|bytes| bytes.try_into().ok());
        field.map_or(0, u32::from_le_bytes)
    };
    if bytes.len() < 512 || [word(bytes, 0), word(bytes, 1)] != MAGIC {
        return Ok(None);
    }
    if !bytes.len().is_multiple_of(512) {
        return Err("a truncated UF2 file: its size is not a multiple of 512 bytes".into());
    }
    let mut segments: Vec<Segment> = Vec::new();
    for (index, block) in bytes.chunks_exact(512).enumerate() {
        if [word(block, 0), word(block, 1)] != MAGIC || word(block, 127) != MAGIC_END {
            return Err(format!("a damaged UF2 file: block {index} has wrong magic numbers"));
        }
        if word(block, 2) & (NOT_MAIN_FLASH | FILE_CONTAINER) != 0 {
            continue;
        }
        let (addr, size) = (u64::from(word(block, 3)), word(block, 4) as usize);
        if size > 476 {
            return Err(format!("a damaged UF2 file: block {index} says {size} bytes, 476 fit"));
        }
        let data = &block[32..32 + size];
        match segments.last_mut() {
            Some(last) if last.end() == addr => last.bytes.extend_from_slice(data),
            _ => segments.push(Segment { addr, bytes: data.to_vec(), zeroes: 0 }),
        }
    }
    match segments.is_empty() {
        true => Err("a UF2 file without data for memory".into()),
        false => Ok(Some(segments)),
    }
}
