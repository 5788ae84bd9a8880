//! Properties that refer to other nodes with arguments: GPIOs, clocks and their like.

use super::{describe::Context, description::Reference};
use crate::tree::NodeId;

/// Property, and the property of the node referred to that counts the arguments. A leading `*` stands for any prefix.
const KINDS: [(&str, &str); 15] = [
    ("gpios", "#gpio-cells"),
    ("gpio", "#gpio-cells"),
    ("*-gpios", "#gpio-cells"),
    ("*-gpio", "#gpio-cells"),
    ("clocks", "#clock-cells"),
    ("pwms", "#pwm-cells"),
    ("resets", "#reset-cells"),
    ("dmas", "#dma-cells"),
    ("phys", "#phy-cells"),
    ("io-channels", "#io-channel-cells"),
    ("mboxes", "#mbox-cells"),
    ("power-domains", "#power-domain-cells"),
    ("thermal-sensors", "#thermal-sensor-cells"),
    ("regmap", ""),
    ("hyperemu,pins", ""),
];

fn counted_by(property: &str) -> Option<&'static str> {
    let matches = |kind: &str| match kind.strip_prefix('*') {
        Some(suffix) => property.ends_with(suffix),
        None => property == kind,
    };
    // A count, despite its name.
    if property == "nr-gpios" {
        return None;
    }
    KINDS.iter().find(|(kind, _)| matches(kind)).map(|k| k.1)
}

pub(crate) fn of(c: &mut Context<'_>, id: NodeId) -> Vec<Reference> {
    let tree = c.tree;
    let mut out = Vec::new();
    for p in &tree.node(id).props {
        let Some(counter) = counted_by(&p.name) else { continue };
        // A hog's pins are those of the controller it lies in.
        if tree.prop(id, "gpio-hog").is_some() && p.name == "gpios" {
            continue;
        }
        let Some(cells) = p.cells() else {
            c.error(p.span, format!("`{}` must be references, as in <&label 1>", p.name), "");
            continue;
        };
        let mut rest = cells.as_slice();
        let mut index = 0;
        while let Some((&phandle, after)) = rest.split_first() {
            rest = after;
            // A hole in the list.
            if phandle == 0 {
                index += 1;
                continue;
            }
            let Some(target) = c.phandles.get(&phandle).copied() else {
                c.error(
                    p.span,
                    format!("`{}` refers to phandle {phandle:#x}, which no node has", p.name),
                    "",
                );
                break;
            };
            let count = if counter.is_empty() { Some(0) } else { c.count(target, counter) };
            let path = tree.path(target);
            let Some(count) = count else {
                c.error(p.span, format!("`{}` refers to `{path}`, which has no `{counter}`", p.name), "");
                break;
            };
            let Some((arguments, after)) = rest.split_at_checked(count) else {
                c.error(p.span, format!("each reference to `{path}` here needs {count} more cells"), "");
                break;
            };
            rest = after;
            let target = c.devices.get(&target).copied();
            out.push(Reference { property: p.name.clone(), index, path, target, cells: arguments.to_vec() });
            index += 1;
        }
    }
    out
}
