//! What a user's build script does, for every schema in `schemas/`: a module of the library each. For the tests it also writes functions that
//! make random messages.

use std::fmt::Write;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=schemas");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets it")?);
    let mut schemas = Vec::new();
    for entry in std::fs::read_dir("schemas")? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            schemas.push(path);
        }
    }
    schemas.sort();
    let (mut modules, mut samples) = (String::new(), String::new());
    for path in schemas {
        let name = path.file_stem().and_then(|name| name.to_str()).ok_or("a plain name")?;
        let mut config = bolt_tlv_build::Config::new(&path).output(format!("{name}.rs"));
        let services = path.with_extension("toml");
        if services.exists() {
            config = config.services(services);
        }
        config.generate()?;
        let include = |file: &Path| format!("include!({:?});", file.display().to_string());
        writeln!(
            modules,
            "/// `schemas/{name}.yaml`.\npub mod {name} {{ {} }}",
            include(&out.join(format!("{name}.rs")))
        )?;
        let code = bolt_tlv_build::model::samples(&config, &format!("boltstack_schemas::{name}"))?;
        writeln!(
            samples,
            "#[allow(clippy::all)]\nmod {name} {{\nuse super::*;\n{code}\n#[test]\nfn survives() {{ Probe::run({name:?}, each) }}\n}}"
        )?;
    }
    std::fs::write(out.join("modules.rs"), modules)?;
    std::fs::write(out.join("samples.rs"), samples)?;
    Ok(())
}
