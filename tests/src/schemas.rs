//! The schemas of `docs/format/`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use jsonschema::{Registry, Validator};
use serde_json::Value;

/// The end of a schema's file name.
const SUFFIX: &str = ".schema.json";

/// The directory of the descriptions of formats.
#[must_use]
pub fn format_dir() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "docs", "format"]
        .iter()
        .collect()
}

/// The schemas of `docs/format/`, ready to be used.
#[derive(Debug)]
pub struct Schemas {
    documents: BTreeMap<String, Value>,
    validators: BTreeMap<String, Validator>,
}

impl Schemas {
    /// The schemas, read once.
    ///
    /// # Panics
    /// If a file cannot be read or is no valid schema.
    pub fn get() -> &'static Self {
        static SCHEMAS: OnceLock<Schemas> = OnceLock::new();
        SCHEMAS.get_or_init(|| match Self::load() {
            Ok(schemas) => schemas,
            Err(problem) => panic!("the schemas of docs/format cannot be used: {problem}"),
        })
    }

    fn load() -> Result<Self, String> {
        let mut documents = BTreeMap::new();
        for entry in std::fs::read_dir(format_dir()).map_err(|e| e.to_string())? {
            let path = entry.map_err(|e| e.to_string())?.path();
            let file = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if let Some(name) = file.strip_suffix(SUFFIX) {
                let text = std::fs::read_to_string(&path).map_err(|e| format!("{file}: {e}"))?;
                let document: Value = serde_json::from_str(&text).map_err(|e| format!("{file}: {e}"))?;
                documents.insert(name.to_owned(), document);
            }
        }
        let mut registry = Registry::new();
        for (name, document) in &documents {
            let id = document["$id"].as_str().unwrap_or_default();
            if !id.ends_with(&format!("/{name}{SUFFIX}")) {
                return Err(format!(
                    "{name}: `$id` is `{id}`, which does not end in the file's name"
                ));
            }
            registry = registry
                .add(id, document.clone())
                .map_err(|e| format!("{name}: {e}"))?;
        }
        let registry = registry.prepare().map_err(|e| e.to_string())?;
        let mut validators = BTreeMap::new();
        for (name, document) in &documents {
            jsonschema::meta::validate(document).map_err(|e| format!("{name}: {e}"))?;
            let options = jsonschema::options().offline().with_registry(&registry);
            let validator = options.build(document).map_err(|e| format!("{name}: {e}"))?;
            validators.insert(name.clone(), validator);
        }
        Ok(Self {
            documents,
            validators,
        })
    }

    /// The names of all schemas: those of their files, without the end.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.documents.keys().map(String::as_str)
    }

    /// A schema as it is written.
    #[must_use]
    pub fn document(&self, name: &str) -> Option<&Value> {
        self.documents.get(name)
    }

    /// The problems of a value; none if it fits the schema.
    ///
    /// # Panics
    /// If there is no such schema.
    #[must_use]
    #[track_caller]
    pub fn problems(&self, schema: &str, value: &Value) -> Vec<String> {
        let Some(validator) = self.validators.get(schema) else {
            panic!("there is no `docs/format/{schema}{SUFFIX}`");
        };
        validator
            .iter_errors(value)
            .map(|error| format!("{schema} at `{}`: {error}", error.instance_path()))
            .collect()
    }

    /// Refuses a value that is not as the schema says.
    ///
    /// # Panics
    /// With everything that is wrong.
    #[track_caller]
    pub fn validate(&self, schema: &str, value: &Value) {
        let problems = self.problems(schema, value);
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }
}
