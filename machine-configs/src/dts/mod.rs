//! The devicetree compiler: text, preprocessor, lexer, parser, resolver.

mod expr;
mod lexer;
mod macros;
mod parser;
mod pptoken;
mod preprocess;
mod print;
mod resolve;
#[cfg(test)]
mod tests;

pub(crate) use parser::parse_value;
pub use print::{Style, print};
pub use resolve::ResolveOptions as Options;

use crate::{
    error::Error,
    source::{Found, SearchPath, SourceMap},
    tree::Tree,
};

/// A compiled tree with the files that its spans point into.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The tree, with every reference resolved.
    pub tree: Tree,
    /// The files.
    pub sources: SourceMap,
}

/// Compiles the file at `path`.
pub fn compile_path(
    path: &std::path::Path,
    search: &SearchPath,
    options: &Options,
) -> Result<Compiled, Error> {
    let found = search.open_path(path).map_err(|e| Error::bare(&path.display().to_string(), e))?;
    compile_found(found, search, options)
}

/// Compiles a built-in file.
pub(crate) fn compile_builtin(path: &str, search: &SearchPath, options: &Options) -> Result<Compiled, Error> {
    let found =
        search.open_builtin(path).ok_or_else(|| Error::bare(path, "there is no such built-in file"))?;
    compile_found(found, search, options)
}

/// Compiles text that is in no file; `name` stands for it in messages.
pub fn compile_text(
    name: &str,
    text: &str,
    search: &SearchPath,
    options: &Options,
) -> Result<Compiled, Error> {
    let mut sources = SourceMap::default();
    let file = sources.add_text(name, text);
    compile_file(sources, file, search, options)
}

fn compile_found(found: Found, search: &SearchPath, options: &Options) -> Result<Compiled, Error> {
    let mut sources = SourceMap::default();
    let name = found.name().to_string();
    let file = found
        .into_source(&mut sources, None)
        .map_err(|at| Error::bare(&name, format!("not a text file: byte {at} is not UTF-8")))?;
    compile_file(sources, file, search, options)
}

fn compile_file(
    mut sources: SourceMap,
    file: u32,
    search: &SearchPath,
    options: &Options,
) -> Result<Compiled, Error> {
    let result = preprocess::preprocess(&mut sources, file, search)
        .and_then(|text| parser::parse(&text, &sources, search))
        .and_then(|tree| resolve::resolve(tree, options));
    match result {
        Ok(tree) => Ok(Compiled { tree, sources }),
        Err(fault) => Err(fault.into_error(&sources)),
    }
}
