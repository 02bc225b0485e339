//! What a function may answer without doing anything.

use syn::{Expr, GenericArgument, PathArguments, ReturnType, Type, parse_quote};

/// Every value to try instead of a body; none where no simple value is known of the type.
pub(crate) fn instead(output: &ReturnType) -> Vec<Expr> {
    match output {
        ReturnType::Default => vec![parse_quote!(())],
        ReturnType::Type(_, ty) => values(ty),
    }
}

fn values(ty: &Type) -> Vec<Expr> {
    let path = match ty {
        Type::Tuple(tuple) if tuple.elems.is_empty() => return vec![parse_quote!(())],
        Type::Path(path) if path.qself.is_none() => &path.path,
        _ => return Vec::new(),
    };
    let Some(last) = path.segments.last() else { return Vec::new() };
    let inner = || first_argument(&last.arguments).map(values).unwrap_or_default();
    match last.ident.to_string().as_str() {
        "bool" => vec![parse_quote!(true), parse_quote!(false)],
        "u32" | "u64" | "usize" => vec![parse_quote!(0), parse_quote!(1)],
        "Option" => vec![parse_quote!(None)],
        "Vec" => vec![parse_quote!(Vec::new())],
        "String" => vec![parse_quote!(String::new())],
        "Duration" => vec![parse_quote!(std::time::Duration::ZERO)],
        "Result" => inner().into_iter().map(|value| parse_quote!(Ok(#value))).collect(),
        _ => Vec::new(),
    }
}

fn first_argument(arguments: &PathArguments) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}
