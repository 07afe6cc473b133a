//! Tests of managing repositories: pages, who sees what, deleting whole, and mounts that stay within what one may pull.

use mcr_access::{Catalog, Identity, Push};
use mcr_oci::Reference;

use crate::testing::{Bed, admin, name, pull_rule, scoped, system, tag, user};
use crate::{Error, NewRule, Reading, Rule, Settings};

async fn filled() -> Bed {
    let bed = Bed::new();
    for repository in ["a/one", "a/two", "b/three"] {
        bed.push(repository, repository, "v1").await;
    }
    bed
}

async fn catalog(bed: &Bed, identity: &Identity) -> Vec<String> {
    let shown = bed.registry.visible(identity);
    bed.registry.catalog(&bed.global(), None, None, shown).await.unwrap().names
}

#[tokio::test]
async fn listings_show_what_one_may_pull() {
    let bed = filled().await;
    let machine = system("ci");
    assert_eq!(catalog(&bed, &machine).await, [""; 0]);
    bed.registry.create_rule(&bed.global(), pull_rule("a/*")).await.unwrap();
    assert_eq!(catalog(&bed, &machine).await, ["a/one", "a/two"]);
    assert_eq!(catalog(&bed, &admin()).await.len(), 3);
    assert_eq!(catalog(&bed, &user("ann")).await.len(), 3);
    assert_eq!(catalog(&bed, &Identity::probe(None)).await.len(), 3);
    let deny = NewRule { effect: "deny".to_owned(), account_types: Vec::new(), ..pull_rule("b/**") };
    bed.registry.create_rule(&bed.global(), deny).await.unwrap();
    assert_eq!(catalog(&bed, &user("ann")).await, ["a/one", "a/two"]);
    assert_eq!(catalog(&bed, &admin()).await.len(), 3, "no deny touches an administrator");
    // What clients ask for to read the catalog names no repository; what is limited to one shows one.
    assert_eq!(catalog(&bed, &scoped(&user("ann"), "registry:catalog:*")).await, ["a/one", "a/two"]);
    let limited = scoped(&admin(), "registry:catalog:* repository:b/three:pull");
    assert_eq!(catalog(&bed, &limited).await, ["b/three"]);
    let permit = bed.global::<Catalog>();
    let page = bed.registry.repositories(&permit, bed.registry.visible(&machine), None, 1).await.unwrap();
    assert_eq!((page.repositories[0].name.as_str(), page.next.as_deref()), ("a/one", Some("a/one")));
    let page = bed.registry.repositories(&permit, bed.registry.visible(&machine), page.next, 9).await.unwrap();
    assert_eq!((page.repositories[0].name.as_str(), page.repositories.len()), ("a/two", 1));
}

#[tokio::test]
async fn both_lists_of_a_repository_are_paged_to_their_ends() {
    let bed = Bed::new();
    for (content, tagged) in [("1", "t1"), ("2", "t2"), ("3", "t3"), ("3", "t4"), ("3", "t5")] {
        bed.push("a", content, tagged).await;
    }
    let permit = bed.permit(&admin(), "a");
    let (mut cursor, mut tags, mut manifests) = (None, Vec::new(), Vec::new());
    for _ in 0..5 {
        let page = bed.registry.repository(&permit, cursor.as_deref(), 2).await.unwrap();
        assert_eq!((page.summary.tags, page.summary.manifests), (5, 3));
        assert!(page.tags.len() <= 2 && page.manifests.len() <= 2);
        tags.extend(page.tags.into_iter().map(|tag| tag.name));
        manifests.extend(page.manifests.into_iter().map(|manifest| manifest.tags.len()));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(tags, ["t1", "t2", "t3", "t4", "t5"]);
    manifests.sort_unstable();
    assert_eq!(manifests, [1, 1, 3]);
    assert!(matches!(bed.registry.repository(&permit, Some("x"), 2).await, Err(Error::Invalid(_))));
    let missing = bed.permit(&admin(), "never");
    assert!(matches!(bed.registry.repository(&missing, None, 2).await, Err(Error::NameUnknown(_))));
    assert!(matches!(bed.registry.tag_details(&missing, None, 2).await, Err(Error::NameUnknown(_))));
    let page = bed.registry.tag_details(&permit, Some("t1".to_owned()), 2).await.unwrap();
    assert_eq!((page.tags[0].name.as_str(), page.next.as_deref()), ("t2", Some("t3")));
}

#[tokio::test]
async fn a_repository_goes_whole_and_at_once_and_comes_back_with_a_push() {
    let bed = filled().await;
    let (permit, reference) = (bed.permit(&admin(), "a/one"), Reference::Tag(tag("v1")));
    // Cached, so that the answer must reach the cache too.
    bed.registry.manifest(&permit, reference.clone(), Reading::Get).await.unwrap();
    let deleted = bed.registry.delete_repository(&bed.global(), &name("a/one")).await.unwrap();
    assert_eq!((deleted.tags, deleted.manifests, deleted.blobs), (1, 1, 1));
    let gone = bed.registry.manifest(&permit, reference.clone(), Reading::Get).await;
    assert!(matches!(gone, Err(Error::NameUnknown(_))), "{gone:?}");
    assert_eq!(catalog(&bed, &admin()).await, ["a/two", "b/three"]);
    let again = bed.registry.delete_repository(&bed.global(), &name("a/one")).await;
    assert!(matches!(again, Err(Error::NameUnknown(_))));
    let history = bed.registry.tag_history(&permit, &tag("v1"), None, 9).await.unwrap();
    assert!(history.changes[0].current.is_none() && history.changes[0].run_id.is_some());
    assert_eq!(bed.told("repo_deleted").await[0].details["tags"], 1);
    bed.push("a/one", "a/one", "v2").await;
    assert_eq!(catalog(&bed, &admin()).await.len(), 3);
    assert!(bed.registry.manifest(&permit, reference, Reading::Get).await.is_err(), "the old tag stays away");
}

#[tokio::test]
async fn immutable_tags_and_read_only_keep_a_repository() {
    let rule = Rule {
        repositories: vec!["a/*".to_owned()],
        sparse: false,
        immutable_tags: Some(Rule::tag_pattern("v.*").unwrap()),
    };
    let bed = Bed::with(Settings { rules: vec![rule], ..Settings::default() });
    bed.push("a/one", "x", "v1").await;
    bed.push("b/two", "x", "v1").await;
    let refused = bed.registry.delete_repository(&bed.global(), &name("a/one")).await;
    assert!(matches!(&refused, Err(Error::Denied(text)) if text.contains("a/one:v1")), "{refused:?}");
    bed.registry.switch_read_only(&bed.global(), true, Some("moving house")).await.unwrap();
    let refused = bed.registry.delete_repository(&bed.global(), &name("b/two")).await;
    assert!(matches!(&refused, Err(Error::ReadOnly(text)) if text == "moving house"), "{refused:?}");
}

#[tokio::test]
async fn a_tag_that_never_was_has_no_history() {
    let bed = filled().await;
    let permit = bed.permit(&admin(), "a/one");
    assert!(matches!(bed.registry.tag_history(&permit, &tag("v9"), None, 9).await, Err(Error::NoSuch(_))));
    bed.push("a/one", "other", "v1").await;
    let page = bed.registry.tag_history(&permit, &tag("v1"), None, 1).await.unwrap();
    let rest = bed.registry.tag_history(&permit, &tag("v1"), page.next, 9).await.unwrap();
    assert_eq!((page.changes.len(), rest.changes.len(), rest.next), (1, 1, None));
    assert_eq!(page.changes[0].previous, rest.changes[0].current);
}

#[tokio::test]
async fn a_mount_without_a_source_takes_only_from_what_one_may_pull() {
    let bed = Bed::new();
    let digest = bed.push_blob("secret/one", "x").await;
    let machine = system("ci");
    let rule = NewRule { actions: vec!["push".to_owned(), "pull".to_owned()], ..pull_rule("team/**") };
    bed.registry.create_rule(&bed.global(), rule).await.unwrap();
    let permit = bed.registry.permit::<Push>(&machine, &name("team/app")).unwrap();
    assert_eq!(bed.registry.mount_from_anywhere(&permit, &digest).await.unwrap(), None);
    bed.push_blob("team/base", "x").await;
    // A token for the target alone gives nothing from elsewhere.
    let narrow = scoped(&machine, "repository:team/app:pull,push");
    let limited = bed.registry.permit::<Push>(&narrow, &name("team/app")).unwrap();
    assert_eq!(bed.registry.mount_from_anywhere(&limited, &digest).await.unwrap(), None);
    assert_eq!(bed.registry.mount_from_anywhere(&permit, &digest).await.unwrap(), Some(digest.clone()));
    let admins = bed.registry.permit::<Push>(&admin(), &name("elsewhere")).unwrap();
    assert_eq!(bed.registry.mount_from_anywhere(&admins, &digest).await.unwrap(), Some(digest));
}
