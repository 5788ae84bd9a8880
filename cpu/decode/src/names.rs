//! Rust names made from instruction names.

/// `c.addi` becomes `CAddi`, `fcvt.w.s` becomes `FcvtWS`.
pub fn variant_name(name: &str) -> String {
    name.split(|c: char| !c.is_ascii_alphanumeric())
        .map(|part| {
            let mut chars = part.chars();
            chars.next().map_or(String::new(), |c| c.to_ascii_uppercase().to_string() + chars.as_str())
        })
        .collect()
}

/// `fcvt.w.s` becomes `fcvt_w_s`; a Rust keyword gets a trailing underscore.
pub fn function_name(name: &str) -> String {
    let text: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    const KEYWORDS: [&str; 12] =
        ["as", "break", "if", "in", "loop", "move", "mut", "ref", "return", "static", "use", "yield"];
    if KEYWORDS.contains(&text.as_str()) { text + "_" } else { text }
}
