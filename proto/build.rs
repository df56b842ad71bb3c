//! Compiles the `.proto` files without protoc and embeds the descriptors for reflection and the JSON view.

use std::{env, fs, path::PathBuf};

const FILES: [&str; 22] = [
    "quartermaster/v1/common.proto",
    "quartermaster/v1/allocation.proto",
    "quartermaster/v1/inventory.proto",
    "quartermaster/v1/catalog.proto",
    "quartermaster/v1/admin.proto",
    "quartermaster/v1/operations.proto",
    "quartermaster/v1/sourcing.proto",
    "quartermaster/v1/routing.proto",
    "quartermaster/v1/policy.proto",
    "quartermaster/v1/allotment.proto",
    "quartermaster/v1/campaign.proto",
    "quartermaster/v1/supply.proto",
    "quartermaster/v1/returns.proto",
    "quartermaster/v1/upkeep.proto",
    "quartermaster/v1/rules.proto",
    "quartermaster/journal/v1/journal.proto",
    "quartermaster/journal/v1/allotment.proto",
    "quartermaster/journal/v1/campaign.proto",
    "quartermaster/journal/v1/supply.proto",
    "quartermaster/journal/v1/returns.proto",
    "quartermaster/journal/v1/upkeep.proto",
    "quartermaster/journal/v1/rules.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=quartermaster");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_source_info(true).include_imports(true).open_files(FILES)?;
    fs::write(out.join("quartermaster.fds"), compiler.encode_file_descriptor_set())?;

    let grpc = env::var_os("CARGO_FEATURE_GRPC").is_some();
    tonic_prost_build::configure()
        .build_client(grpc)
        .build_server(grpc)
        .btree_map(".")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
