//! What a browser or `curl` sees at `/`: what runs, every method, and a call to begin with.

use crate::methods::{Method, Methods};

/// The page.
pub(super) fn page(methods: &Methods) -> String {
    let mut page = format!(
        "Quartermaster {}\n\n\
         Every method is called by gRPC, or with JSON on the same port:\n\n    \
         curl -H 'content-type: application/json' -d '{{}}' http://HOST:PORT/quartermaster.v1.AdminService/GetStatus\n\n\
         Streams take and give newline-delimited JSON. gRPC reflection describes the messages, and so does GET /openapi.json.\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut service = "";
    let (own, shared): (Vec<&Method>, Vec<&Method>) = methods.all().iter().partition(|method| method.is_own());
    for method in own.into_iter().chain(shared) {
        if method.service != service {
            service = &method.service;
            page.push_str(&format!("\n{service}\n"));
        }
        let (input, output) = (method.descriptor.input(), method.descriptor.output());
        let stream = |is| if is { "stream of " } else { "" };
        page.push_str(&format!(
            "    POST {}    {}{} -> {}{}\n",
            method.path,
            stream(method.descriptor.is_client_streaming()),
            input.name(),
            stream(method.descriptor.is_server_streaming()),
            output.name(),
        ));
    }
    page
}

/// The paths of all methods, for an error that lists what exists.
pub(super) fn paths(methods: &Methods) -> String {
    let paths: Vec<&str> = methods.all().iter().map(|method| method.path.as_str()).collect();
    format!("GET /, GET /openapi.json, POST {}", paths.join(", "))
}
