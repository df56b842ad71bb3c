//! Changes of the SKUs: which codes get which ids.

use super::kits;
use crate::{
    catalog::{Catalogue, Sku, SkuSpec},
    error::Error,
    event::Event,
    id::SkuId,
};

/// SKUs get the next ids, or keep theirs when their code is active.
pub(crate) fn upsert_skus(catalogue: &Catalogue, specs: &[SkuSpec]) -> Result<Event, Error> {
    let (skus, created) = place(specs, "SKUs", catalogue.skus().len(), u32::MAX, |spec, fresh| {
        let id = catalogue.sku(&spec.code).unwrap_or(SkuId(fresh));
        (Sku { id, spec: spec.clone(), retired: None, components: Box::default() }, id.0 == fresh)
    })?;
    let mut skus = skus;
    kits::resolve(catalogue, &mut skus)?;
    Ok(Event::SkusUpserted { skus, created })
}

/// The codes become free; the SKUs stay with what is reserved of them.
pub(crate) fn retire_skus(catalogue: &Catalogue, codes: &[String]) -> Result<Event, Error> {
    let find = |code: &String| catalogue.sku(code).ok_or_else(|| Error::UnknownSku { code: code.clone() });
    let skus = codes.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    kits::not_in_use(catalogue, &skus)?;
    Ok(Event::SkusRetired { skus })
}

/// Gives each spec its id; `entry` tells whether it used the fresh one.
pub(super) fn place<S, T>(
    specs: &[S],
    what: &'static str,
    used: usize,
    highest: u32,
    entry: impl Fn(&S, u32) -> (T, bool),
) -> Result<(Vec<T>, u32), Error> {
    let full = || Error::TableFull { what, limit: u64::from(highest) + 1 };
    let first = u32::try_from(used).map_err(|_| full())?;
    let mut entries = Vec::with_capacity(specs.len());
    let mut created = 0;
    for spec in specs {
        let fresh = first.checked_add(created).filter(|id| *id <= highest).ok_or_else(full)?;
        let (value, is_new) = entry(spec, fresh);
        entries.push(value);
        created += u32::from(is_new);
    }
    Ok((entries, created))
}
