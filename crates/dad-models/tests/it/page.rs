//! The page about models, against the catalogue.

use dad_models::ModelCatalog;

#[test]
fn the_page_about_models_has_every_provider_and_its_examples_can_be_read() {
    let page = include_str!("../../../../docs/models.md");
    let catalog = ModelCatalog::new(Vec::new());
    for name in catalog.providers() {
        let address = catalog
            .describe(&format!("{name}/any"))
            .unwrap()
            .provider
            .base_url;
        let mut rows = page.lines().filter(|line| line.starts_with("| `"));
        let (name, address) = (format!("`{name}`"), format!("| `{address}` |"));
        assert!(
            rows.any(|row| row.contains(&name) && row.ends_with(&address)),
            "{name} {address}"
        );
    }
    let blocks = page
        .split("```yaml")
        .skip(1)
        .filter_map(|rest| rest.split_once('\n')?.1.split("```").next());
    let lists: Vec<&str> = blocks.filter(|block| block.starts_with("- name:")).collect();
    assert_eq!(lists.len(), 2);
    for list in lists {
        let project = tempfile::tempdir().unwrap();
        std::fs::create_dir(project.path().join(".dhenara")).unwrap();
        std::fs::write(project.path().join(".dhenara/models.yaml"), list).unwrap();
        let catalog = ModelCatalog::load(project.path()).unwrap();
        assert!(catalog.configured().count() > 0);
        assert!(catalog.configured().all(|name| catalog.describe(name).is_ok()));
    }
}
