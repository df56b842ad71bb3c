//! Compiles the `.proto` files without protoc and embeds the descriptors for reflection and the JSON view.

use std::{collections::HashMap, env, fs, path::PathBuf};

use prost_types::{DescriptorProto, FileDescriptorSet};

/// Package of the API.
const API: &str = "quartermaster.v1";

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

    let files = compiler.file_descriptor_set();
    fs::write(out.join("unary.rs"), unary_calls(&files))?;

    let grpc = env::var_os("CARGO_FEATURE_GRPC").is_some();
    tonic_prost_build::configure().build_client(grpc).build_server(grpc).btree_map(".").compile_fds(files)?;
    Ok(())
}

/// An `impl Unary` for the request of each method that takes one message and gives one. Every method has a request of its own, so that
/// the request alone says what is called.
fn unary_calls(files: &FileDescriptorSet) -> String {
    let mut code = String::new();
    for file in files.file.iter().filter(|file| file.package() == API) {
        let requests: HashMap<&str, bool> =
            file.message_type.iter().map(|message| (message.name(), has_id(message))).collect();
        for service in &file.service {
            for method in
                service.method.iter().filter(|method| !method.client_streaming() && !method.server_streaming())
            {
                let [request, answer] = [method.input_type(), method.output_type()].map(short);
                let id = if requests.get(request) == Some(&true) { "Some(&mut self.request_id)" } else { "None" };
                code.push_str(&format!(
                    "impl Unary for v1::{request} {{\n    type Answer = v1::{answer};\n    \
                     const PATH: &'static str = \"/{API}.{}/{}\";\n    \
                     fn request_id_mut(&mut self) -> Option<&mut String> {{ {id} }}\n}}\n",
                    service.name(),
                    method.name(),
                ));
            }
        }
    }
    code
}

fn has_id(message: &DescriptorProto) -> bool {
    message.field.iter().any(|field| field.name() == "request_id")
}

fn short(type_name: &str) -> &str {
    type_name.rsplit('.').next().unwrap_or(type_name)
}
