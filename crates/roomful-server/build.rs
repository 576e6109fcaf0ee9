//! The files of `web-packed/` as a table of the server: each plain, with gzip and with brotli, and the hash of its content.
//!
//! They are compressed here because the best compression is too slow for a request, and because compressed files in git
//! would be new bytes with every change. What is in the folder, `cargo xtask pack` has written.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

const FOLDER: &str = "web-packed";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={FOLDER}");
    println!("cargo::rerun-if-changed=build.rs");
    let of_cargo = |name| env::var_os(name).map(PathBuf::from).expect("cargo sets it");
    let root = of_cargo("CARGO_MANIFEST_DIR").join(FOLDER);
    let out = of_cargo("OUT_DIR");
    let mut files = Vec::new();
    collect(&root, "", &mut files)?;
    // The server searches the table by halves.
    files.sort();

    let mut table = String::from("&[\n");
    for (number, path) in files.iter().enumerate() {
        let plain = root.join(path);
        let content = fs::read(&plain)?;
        let gzip = out.join(format!("{number}.gz"));
        fs::write(&gzip, gzipped(&content)?)?;
        let brotli = out.join(format!("{number}.br"));
        fs::write(&brotli, brotlied(&content)?)?;
        let hash = Sha256::digest(&content);
        writeln!(
            table,
            "Packed {{ path: {path:?}, hash: {:?}, plain: include_bytes!({plain:?}), \
             gzip: include_bytes!({gzip:?}), brotli: include_bytes!({brotli:?}) }},",
            <[u8; 32]>::from(hash),
        )
        .expect("writing to a `String` does not fail");
    }
    table.push_str("]\n");
    fs::write(out.join("packed.rs"), table)
}

/// The paths of all files in a folder, with `/` on every system.
fn collect(folder: &Path, prefix: &str, into: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry
            .file_name()
            .into_string()
            .expect("our names are ASCII");
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{path}/"), into)?;
        } else {
            into.push(path);
        }
    }
    Ok(())
}

fn gzipped(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    encoder.finish()
}

fn brotlied(content: &[u8]) -> io::Result<Vec<u8>> {
    const BUFFER: usize = 4096;
    const BEST: u32 = 11;
    const WINDOW_BITS: u32 = 22;
    let mut encoder = brotli::CompressorWriter::new(Vec::new(), BUFFER, BEST, WINDOW_BITS);
    encoder.write_all(content)?;
    // This ends the stream.
    Ok(encoder.into_inner())
}
