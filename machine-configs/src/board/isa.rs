//! Names of RISC-V extensions, and the older `riscv,isa` string.

/// Extensions of more than one letter that the RISC-V specifications have ratified, in lower case, sorted. A board may name any of
/// them; what the cores implement is decided elsewhere.
const KNOWN: &[&str] = &[
    "sdext",
    "sdtrig",
    "sha",
    "shcounterenw",
    "shgatpa",
    "shlcofideleg",
    "shtvala",
    "shvsatpa",
    "shvstvala",
    "shvstvecd",
    "smaia",
    "smcdeleg",
    "smcntrpmf",
    "smcsrind",
    "smctr",
    "smdbltrp",
    "smepmp",
    "smmpm",
    "smnpm",
    "smrnmi",
    "smstateen",
    "ssaia",
    "ssccfg",
    "ssccptr",
    "sscofpmf",
    "sscounterenw",
    "sscsrind",
    "ssctr",
    "ssdbltrp",
    "ssnpm",
    "sspm",
    "ssqosid",
    "ssstateen",
    "ssstrict",
    "sstc",
    "sstvala",
    "sstvecd",
    "ssu64xl",
    "supm",
    "sv32",
    "sv39",
    "sv48",
    "sv57",
    "svade",
    "svadu",
    "svbare",
    "svinval",
    "svnapot",
    "svpbmt",
    "svrsw60t59b",
    "svvptc",
    "za128rs",
    "za64rs",
    "zaamo",
    "zabha",
    "zacas",
    "zalasr",
    "zalrsc",
    "zama16b",
    "zawrs",
    "zba",
    "zbb",
    "zbc",
    "zbkb",
    "zbkc",
    "zbkx",
    "zbs",
    "zca",
    "zcb",
    "zcd",
    "zce",
    "zcf",
    "zclsd",
    "zcmop",
    "zcmp",
    "zcmt",
    "zdinx",
    "zfa",
    "zfbfmin",
    "zfh",
    "zfhmin",
    "zfinx",
    "zhinx",
    "zhinxmin",
    "zic64b",
    "zicbom",
    "zicbop",
    "zicboz",
    "ziccamoa",
    "ziccif",
    "zicclsm",
    "ziccrse",
    "zicfilp",
    "zicfiss",
    "zicntr",
    "zicond",
    "zicsr",
    "zifencei",
    "zihintntl",
    "zihintpause",
    "zihpm",
    "zilsd",
    "zimop",
    "zk",
    "zkn",
    "zknd",
    "zkne",
    "zknh",
    "zkr",
    "zks",
    "zksed",
    "zksh",
    "zkt",
    "zmmul",
    "ztso",
    "zvbb",
    "zvbc",
    "zve32f",
    "zve32x",
    "zve64d",
    "zve64f",
    "zve64x",
    "zvfbfmin",
    "zvfbfwma",
    "zvfh",
    "zvfhmin",
    "zvkb",
    "zvkg",
    "zvkn",
    "zvknc",
    "zvkned",
    "zvkng",
    "zvknha",
    "zvknhb",
    "zvks",
    "zvksc",
    "zvksed",
    "zvksg",
    "zvksh",
    "zvkt",
    "zvl1024b",
    "zvl128b",
    "zvl256b",
    "zvl32b",
    "zvl512b",
    "zvl64b",
];

/// Extensions of one letter.
const LETTERS: &str = "imafdqcbvhe";

/// Whether an extension's name is known; `x...` names belong to vendors.
pub(crate) fn known(name: &str) -> bool {
    match name.len() {
        1 => LETTERS.contains(name),
        _ => KNOWN.binary_search(&name).is_ok() || name.starts_with('x'),
    }
}

/// The known name most like `name`, if it is like one.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    let (distance, known) = KNOWN.iter().map(|k| (distance(k, name), *k)).min()?;
    (distance <= 2).then_some(known)
}

/// How many letters differ, are missing or are too many.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + (x != y) as usize;
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Splits `rv64imac_zicsr` into `rv64i` and the extensions. The error says what is wrong.
pub(crate) fn split(isa: &str) -> Result<(String, Vec<String>), String> {
    let isa = isa.to_ascii_lowercase();
    let base = ["rv32", "rv64"].into_iter().find(|b| isa.starts_with(b));
    let base = base.ok_or_else(|| format!("`{isa}` does not start with rv32 or rv64"))?;
    let mut extensions: Vec<String> = Vec::new();
    for (i, part) in isa[base.len()..].split('_').enumerate() {
        // Single letters, up to one that starts a longer name.
        let long = if i == 0 {
            part.find(['z', 's', 'x']).unwrap_or(part.len())
        } else if part.len() == 1 {
            1
        } else {
            0
        };
        for letter in part[..long].chars() {
            match letter {
                'g' => extensions.extend(["i", "m", "a", "f", "d", "zicsr", "zifencei"].map(String::from)),
                // Version numbers: rv64i2p1.
                '0'..='9' | 'p' => {}
                _ if letter.is_ascii() => extensions.push(letter.to_string()),
                _ => return Err(format!("`{letter}` is no extension")),
            }
        }
        if long < part.len() {
            extensions.push(part[long..].to_string());
        }
    }
    let integer = if extensions.iter().any(|e| e == "e") { "e" } else { "i" };
    Ok((format!("{base}{integer}"), extensions))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted() {
        assert!(KNOWN.is_sorted());
    }

    #[test]
    fn strings_are_split() {
        let (base, ext) = split("rv64imafdc_zicsr_zba_sstc").unwrap();
        assert_eq!(base, "rv64i");
        assert_eq!(ext, ["i", "m", "a", "f", "d", "c", "zicsr", "zba", "sstc"]);
        assert_eq!(split("rv32gc").unwrap().1, ["i", "m", "a", "f", "d", "zicsr", "zifencei", "c"]);
        assert_eq!(split("rv32emc").unwrap().0, "rv32e");
        assert!(split("x86").is_err());
        assert!(known("zicbom") && known("v") && known("xtheadba") && !known("zzz") && !known("w"));
        assert_eq!(nearest("zicbam"), Some("zicbom"));
        assert_eq!(nearest("smartphone"), None);
    }
}
