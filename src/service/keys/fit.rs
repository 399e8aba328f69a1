//! Fitting what a request says to what is stored: the rules about a key as a whole.

use super::judge::{Half, Judged, JudgedJwk};
use crate::crypto::key::{Flaw, Key, Rules};
use crate::domain::change::Change;
use crate::domain::key::{KeyDraft, PemDraft, Sight, is_reference};
use crate::domain::secret::Secret;
use crate::error::{Error, Part, Result, Violations};
use crate::jose::jwk::Jwk;
use crate::jose::pem;
use crate::store::keys::{Material, Stored};

const ONLY_ONE: &str = "only one or none of these fields must be set: 'jwk', 'pem'";
const AT_LEAST_ONE: &str = "at least one of these fields must be non-empty: 'jwk', 'pem'";
const AT_LEAST_ONE_HALF: &str = "at least one of these fields must be non-empty: 'private_key', 'public_key'";

const HIDDEN: &str = "this key has a private half that this token may not see, and would lose it: send jwk or pem as it was \
                      shown, send another private half, or delete the key first";

/// How a request treats what it does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// It goes: POST and PUT.
    Replace,
    /// It stays: PATCH.
    Merge,
}

/// A request, and the key it is for, if there is one.
pub(super) struct Fit<'a> {
    pub(super) stored: Option<&'a Stored>,
    pub(super) draft: &'a KeyDraft,
    pub(super) judged: &'a Judged,
    pub(super) way: Way,
    pub(super) sight: Sight,
    /// Opens the private half that is stored.
    pub(super) open: &'a dyn Fn(&Stored) -> Result<Secret>,
}

/// What a key is to be made of.
pub(super) struct Fitted {
    pub(super) kid: String,
    /// All but the private half.
    pub(super) material: Material,
    pub(super) private: Private,
}

/// Where the private half comes from.
pub(super) enum Private {
    None,
    /// It stays what it is, sealed as it is.
    Kept,
    /// The request brings it.
    New(Secret),
}

/// The JWK of a key to be.
enum MergedJwk<'a> {
    None,
    Kept(&'a str),
    New(&'a JudgedJwk, &'a Secret),
}

/// The two halves of a PEM to be.
#[derive(Default)]
struct MergedPem<'a> {
    private: MergedHalf<'a>,
    public: MergedHalf<'a>,
}

#[derive(Default)]
enum MergedHalf<'a> {
    #[default]
    None,
    /// What is stored stays.
    Kept,
    /// The request brings it.
    New(&'a Half, &'a Secret),
}

impl MergedHalf<'_> {
    fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

impl<'a> Fit<'a> {
    /// The key to be, or every rule that it would break, those of the draft with them.
    pub(super) fn run(&self) -> Result<Result<Fitted, Violations>> {
        let mut violations = self.draft.violations.clone();
        let kid = self.kid(&mut violations);
        let (jwk, pem) = (self.jwk(), self.pem());
        self.check_formats(&jwk, pem.as_ref(), &mut violations);
        self.check_hidden(&jwk, pem.as_ref(), &mut violations);
        check_jwk(&jwk, kid.as_deref(), &mut violations);
        if let Some(pem) = &pem {
            self.check_pem(pem, &mut violations)?;
        }
        Ok(match kid {
            Some(kid) if violations.is_empty() => Ok(self.fitted(kid, &jwk, &pem.unwrap_or_default())),
            _ => Err(violations),
        })
    }

    /// What is stored, as far as the request does not replace it.
    fn base(&self) -> Option<&'a Stored> {
        self.stored.filter(|_| self.way == Way::Merge)
    }

    fn kid(&self, violations: &mut Violations) -> Option<String> {
        let kid = self.draft.kid.clone().after(self.base().map(|stored| stored.kid.clone()));
        if kid.is_none() && !violations.touch("kid") {
            violations.field("kid", "required field missing");
        }
        kid
    }

    fn jwk(&self) -> MergedJwk<'a> {
        let kept = |stored: Option<&'a Stored>| {
            let text = stored.and_then(|stored| stored.material.jwk.as_deref());
            text.map_or(MergedJwk::None, MergedJwk::Kept)
        };
        match (&self.draft.jwk, &self.judged.jwk) {
            (Change::Set(text), Some(_)) if self.echoes_jwk(text) => kept(self.stored),
            (Change::Set(text), Some(judged)) => MergedJwk::New(judged, text),
            (Change::Keep, _) => kept(self.base()),
            _ => MergedJwk::None,
        }
    }

    /// The material of a key whose private half this caller may not see.
    fn hidden(&self) -> Option<&'a Material> {
        let material = self.stored.map(|stored| &stored.material)?;
        (material.private.is_some() && self.sight == Sight::Public).then_some(material)
    }

    /// Whether a caller who may not see the private half sends back what was shown. Such a caller cannot send more.
    fn echoes_jwk(&self, text: &Secret) -> bool {
        let hidden = self.hidden().filter(|material| material.is_jwk());
        hidden.is_some_and(|material| material.jwk.as_deref() == Some(text.reveal()))
    }

    /// Nobody loses a private half by a request that could not show it: it stays, or another one takes its place.
    fn check_hidden(&self, jwk: &MergedJwk<'_>, pem: Option<&MergedPem<'_>>, violations: &mut Violations) {
        if self.hidden().is_none() || violations.touch("jwk") || violations.touch("pem") {
            return;
        }
        let kept = match (jwk, pem) {
            (_, Some(MergedPem { private: MergedHalf::New(half, _), .. })) => {
                !matches!(half, Half::Reference)
            }
            (_, Some(MergedPem { private: MergedHalf::Kept, .. })) => true,
            (MergedJwk::New(JudgedJwk::Read { private, .. }, _), _) => *private,
            (MergedJwk::Kept(text), _) => !is_reference(text),
            _ => false,
        };
        if !kept {
            violations.entity(HIDDEN);
        }
    }

    fn pem(&self) -> Option<MergedPem<'a>> {
        let base = self.base().filter(|stored| stored.material.is_pem());
        let pem = match &self.draft.pem {
            Change::Clear => return None,
            Change::Keep => base.map(|_| &NOTHING_NEW)?,
            Change::Set(pem) => pem,
        };
        let (has_private, has_public) = base.map_or((false, false), |stored| {
            let material = &stored.material;
            let private = material.private.is_some() && !material.is_jwk();
            (private || material.pem_reference.is_some(), material.pem_public.is_some())
        });
        let merged = MergedPem {
            private: merge(&pem.private, self.judged.private.as_ref(), has_private),
            public: merge(&pem.public, self.judged.public.as_ref(), has_public),
        };
        Some(if self.echoes_pem(&merged) {
            MergedPem { private: MergedHalf::Kept, ..merged }
        } else {
            merged
        })
    }

    /// The same for a PEM, whose private half is shown as null.
    fn echoes_pem(&self, merged: &MergedPem<'_>) -> bool {
        self.hidden().filter(|material| !material.is_jwk()).is_some_and(|material| {
            let same_public = match &merged.public {
                MergedHalf::None => material.pem_public.is_none(),
                MergedHalf::Kept => true,
                MergedHalf::New(_, text) => material.pem_public.as_deref() == Some(text.reveal()),
            };
            merged.private.is_none() && same_public
        })
    }

    /// Exactly one format, unless the JWK is a reference (contract §5).
    fn check_formats(&self, jwk: &MergedJwk<'_>, pem: Option<&MergedPem<'_>>, violations: &mut Violations) {
        if violations.touch("jwk") || violations.touch("pem") {
            return;
        }
        match (jwk, pem) {
            (MergedJwk::None, None) if self.way == Way::Merge => {
                violations.entity(format!("when updating, {AT_LEAST_ONE}"));
            }
            (MergedJwk::None, None) => violations.entity(AT_LEAST_ONE),
            (MergedJwk::Kept(text), Some(_)) if !is_reference(text) => violations.entity(ONLY_ONE),
            (MergedJwk::New(judged, _), Some(_)) if !matches!(judged, JudgedJwk::Reference) => {
                violations.entity(ONLY_ONE);
            }
            _ => {}
        }
    }

    fn check_pem(&self, pem: &MergedPem<'_>, violations: &mut Violations) -> Result<()> {
        if violations.touch("pem") {
            return Ok(());
        }
        if pem.private.is_none() && pem.public.is_none() {
            violations.part("pem", Part::Record, AT_LEAST_ONE_HALF);
        }
        if let MergedHalf::New(Half::Refused(flaw), _) = pem.public {
            violations.field("pem", format!("could not load public key: {flaw}"));
        }
        if let MergedHalf::New(Half::Refused(flaw), _) = pem.private {
            violations.field("pem", format!("could not load private key: {flaw}"));
        }
        if !violations.touch("pem") && !self.halves_match(pem)? {
            violations.field("pem", "public key does not match private key");
        }
        Ok(())
    }

    /// Whether the halves belong together, as far as both can be seen. Two that are stored did when they came.
    fn halves_match(&self, pem: &MergedPem<'_>) -> Result<bool> {
        use MergedHalf::{Kept, New};
        let same = |one: &Key, other: Option<&Key>| other.is_none_or(|other| one.same_public(other));
        Ok(match (&pem.private, &pem.public) {
            (New(Half::Sound(private), _), New(Half::Sound(public), _)) => same(private, Some(public)),
            (New(Half::Sound(private), _), Kept) => same(private, self.kept_public()?.as_ref()),
            (Kept, New(Half::Sound(public), _)) => same(public, self.kept_private()?.as_ref()),
            _ => true,
        })
    }

    /// The public half that is stored, unless that is a reference.
    fn kept_public(&self) -> Result<Option<Key>> {
        let text = self.stored.and_then(|stored| stored.material.pem_public.as_deref());
        let Some(text) = text.filter(|text| !is_reference(text)) else { return Ok(None) };
        pem::read_public(text, Rules::STORED).map(Some).map_err(unsound)
    }

    fn kept_private(&self) -> Result<Option<Key>> {
        let Some(stored) = self.stored.filter(|stored| stored.material.private.is_some()) else {
            return Ok(None);
        };
        let text = (self.open)(stored)?;
        pem::read_private(text.reveal(), Rules::STORED).map(|key| Some(key.into_public())).map_err(unsound)
    }

    /// Puts together what was found to be right.
    fn fitted(&self, kid: String, jwk: &MergedJwk<'_>, pem: &MergedPem<'_>) -> Fitted {
        let old = self.stored.map(|stored| &stored.material);
        let mut fitted = Fitted { kid, material: Material::default(), private: Private::None };
        match jwk {
            MergedJwk::None => {}
            MergedJwk::Kept(text) => {
                fitted.material.jwk = Some((*text).to_owned());
                if old.is_some_and(|old| old.is_jwk() && old.private.is_some()) {
                    fitted.private = Private::Kept;
                }
            }
            MergedJwk::New(JudgedJwk::Read { shown, private, .. }, text) => {
                fitted.material.jwk = Some(shown.clone());
                if *private {
                    fitted.private = Private::New((*text).clone());
                }
            }
            MergedJwk::New(_, text) => fitted.material.jwk = Some(text.reveal().to_owned()),
        }
        match &pem.public {
            MergedHalf::None => {}
            MergedHalf::Kept => fitted.material.pem_public = old.and_then(|old| old.pem_public.clone()),
            MergedHalf::New(_, text) => fitted.material.pem_public = Some(text.reveal().to_owned()),
        }
        match &pem.private {
            MergedHalf::None => {}
            MergedHalf::Kept => {
                fitted.material.pem_reference = old.and_then(|old| old.pem_reference.clone());
                if fitted.material.pem_reference.is_none() {
                    fitted.private = Private::Kept;
                }
            }
            MergedHalf::New(Half::Reference, text) => {
                fitted.material.pem_reference = Some(text.reveal().to_owned());
            }
            MergedHalf::New(_, text) => fitted.private = Private::New((*text).clone()),
        }
        fitted
    }
}

fn check_jwk(jwk: &MergedJwk<'_>, kid: Option<&str>, violations: &mut Violations) {
    let (own_kid, flaw) = match jwk {
        MergedJwk::New(JudgedJwk::Unreadable(problem), _) => {
            return violations.entity(format!("could not json decode jwk string: {problem}"));
        }
        MergedJwk::New(JudgedJwk::Read { kid, flaw, .. }, _) => (kid.clone(), flaw.clone()),
        MergedJwk::Kept(text) if !is_reference(text) => {
            (Jwk::read(text).ok().and_then(|jwk| jwk.kid().map(str::to_owned)), None)
        }
        _ => return,
    };
    // Without a kid there is nothing to compare, and Kong stops there.
    let Some(kid) = kid else { return };
    if own_kid.as_deref() != Some(kid) {
        violations.entity("kid in jwk.kid must be equal to keys.kid");
    } else if let Some(flaw) = flaw {
        violations.entity(flaw);
    }
}

/// A stored half was judged when it came.
fn unsound(flaw: Flaw) -> Error {
    Error::internal("comparing the halves of a key", flaw)
}

/// A PEM of which the request says nothing.
static NOTHING_NEW: PemDraft = PemDraft { private: Change::Keep, public: Change::Keep };

fn merge<'a>(change: &'a Change<Secret>, judged: Option<&'a Half>, is_there: bool) -> MergedHalf<'a> {
    match (change, judged) {
        (Change::Set(text), Some(judged)) => MergedHalf::New(judged, text),
        (Change::Keep, _) if is_there => MergedHalf::Kept,
        _ => MergedHalf::None,
    }
}
