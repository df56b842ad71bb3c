//! The closed set of methods the server knows, from the descriptors: what labels metrics, drives the JSON view and picks deadlines.

use std::collections::HashMap;

use ahash::RandomState;
use prost_reflect::{DescriptorPool, MethodDescriptor, ServiceDescriptor};

use crate::admission::Priority;

/// Package of our own services.
const PACKAGE: &str = "quartermaster.v1";

/// The services whose calls are long by nature: a snapshot of a large matrix takes seconds.
const ADMIN: [&str; 2] = ["quartermaster.v1.AdminService", "quartermaster.v1.OperationsService"];

/// Place of a method in [`Methods::all`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodId(usize);

impl MethodId {
    /// Index into a list with one entry a method.
    pub fn index(self) -> usize {
        self.0
    }
}

/// A method as it is called.
#[derive(Clone, Debug)]
pub struct Method {
    /// Full name of the service, "quartermaster.v1.AllocationService".
    pub service: String,
    /// Name of the method, "Reserve".
    pub name: String,
    /// Path of a call, "/quartermaster.v1.AllocationService/Reserve".
    pub path: String,
    /// What is refused before it and after it in overload.
    pub priority: Priority,
    /// Messages and streaming.
    pub descriptor: MethodDescriptor,
    is_unary: bool,
}

impl Method {
    /// Whether it belongs to a service of ours.
    pub fn is_own(&self) -> bool {
        self.descriptor.parent_service().package_name() == PACKAGE
    }

    /// One message in, one out.
    pub fn is_unary(&self) -> bool {
        self.is_unary
    }

    /// Whether it concerns the server and not the business: such calls leave no event, so that the audit log tells of them.
    pub fn is_administration(&self) -> bool {
        ADMIN.contains(&self.service.as_str())
    }

    /// Whether a call without a deadline of its own gets the server's.
    pub fn has_default_deadline(&self) -> bool {
        self.is_unary() && !self.is_administration()
    }

    /// Whether it answers while the server is full: the health checks, which load balancers would else take for death.
    pub fn is_always_admitted(&self) -> bool {
        self.service == "grpc.health.v1.Health"
    }
}

/// Every method the server may be asked for.
#[derive(Debug)]
pub struct Methods {
    pool: DescriptorPool,
    all: Vec<Method>,
    /// Found once a call, and what is looked for cannot grow it: a quick hash will do.
    by_path: HashMap<String, MethodId, RandomState>,
}

impl Methods {
    /// The API, health and reflection, in the order of their names.
    ///
    /// # Panics
    /// When the descriptors built into the binary do not decode, which a test would have seen.
    pub fn new() -> Methods {
        let mut pool = DescriptorPool::new();
        for encoded in [
            quartermaster_proto::FILE_DESCRIPTOR_SET,
            tonic_types::pb::FILE_DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ] {
            pool.decode_file_descriptor_set(encoded).expect("descriptors built into the binary decode");
        }
        let mut all: Vec<Method> = pool.services().flat_map(|service| methods_of(&service)).collect();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        let mut by_path = HashMap::with_hasher(RandomState::with_seeds(0x9A7B, 0x4D0F, 0xCA11, 0x5EED));
        by_path.extend(all.iter().enumerate().map(|(index, method)| (method.path.clone(), MethodId(index))));
        Methods { pool, all, by_path }
    }

    /// All of them.
    pub fn all(&self) -> &[Method] {
        &self.all
    }

    /// The method called by `path`.
    pub fn find(&self, path: &str) -> Option<MethodId> {
        self.by_path.get(path).copied()
    }

    /// The method with this id.
    pub fn get(&self, id: MethodId) -> &Method {
        &self.all[id.0]
    }

    /// Full names of our own services.
    pub fn own_services(&self) -> impl Iterator<Item = String> + '_ {
        let ours = self.pool.services().filter(|service| service.package_name() == PACKAGE);
        ours.map(|service| service.full_name().to_owned())
    }

    /// Every message type, those of error details included.
    pub fn pool(&self) -> &DescriptorPool {
        &self.pool
    }
}

impl Default for Methods {
    fn default() -> Methods {
        Methods::new()
    }
}

fn methods_of(service: &ServiceDescriptor) -> Vec<Method> {
    let name = service.full_name().to_owned();
    let methods = service.methods().map(|descriptor| Method {
        service: name.clone(),
        name: descriptor.name().to_owned(),
        path: format!("/{name}/{}", descriptor.name()),
        priority: Priority::of_method(&name, descriptor.name()),
        is_unary: !descriptor.is_client_streaming() && !descriptor.is_server_streaming(),
        descriptor,
    });
    methods.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_our_services_health_and_both_reflections() {
        let methods = Methods::new();
        for path in [
            "/quartermaster.v1.AllocationService/Reserve",
            "/grpc.health.v1.Health/Check",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ] {
            let id = methods.find(path).unwrap_or_else(|| panic!("{path} is missing"));
            assert_eq!(methods.get(id).path, path);
        }
        assert!(methods.find("/quartermaster.v1.AllocationService/Steal").is_none());
        assert_eq!(methods.own_services().count(), 13);
    }

    #[test]
    fn what_is_urgent_exists_under_the_name_it_is_urgent_by() {
        let methods = Methods::new();
        let count = |priority| methods.all().iter().filter(|method| method.priority == priority).count();
        assert_eq!(count(Priority::Settle), 7 + 5 + 7, "seven of allocation, all of administration and operations");
        assert_eq!(count(Priority::Take), 3 + 6 + 2 + 1);
        assert!(count(Priority::Quote) >= 5);
    }

    #[test]
    fn backups_and_settings_are_administration_as_snapshots_are() {
        let methods = Methods::new();
        let is = |path: &str| methods.get(methods.find(path).unwrap()).is_administration();
        assert!(is("/quartermaster.v1.AdminService/TakeSnapshot"));
        assert!(is("/quartermaster.v1.OperationsService/StartBackup"));
        assert!(is("/quartermaster.v1.OperationsService/ReloadConfig"));
        assert!(!is("/quartermaster.v1.AllocationService/Reserve") && !is("/grpc.health.v1.Health/Check"));
    }

    #[test]
    fn streams_and_administration_have_no_default_deadline() {
        let methods = Methods::new();
        let has = |path: &str| methods.get(methods.find(path).unwrap()).has_default_deadline();
        assert!(has("/quartermaster.v1.AllocationService/Reserve"));
        assert!(!has("/quartermaster.v1.AllocationService/ReserveStream"));
        assert!(!has("/quartermaster.v1.InventoryService/ImportStock"));
        assert!(!has("/quartermaster.v1.AdminService/TakeSnapshot"));
    }
}
