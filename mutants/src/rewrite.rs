//! Goes through a file and puts every change beside what it changes.

use proc_macro2::Span;
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Arm, Attribute, BinOp, Block, Expr, ExprBinary, Pat, Stmt, Token, UnOp, parse_quote, parse2};

use crate::body;

/// The longest excerpt of the source in the list, in characters.
const EXCERPT_MAX: usize = 160;

/// One change.
pub(crate) struct Mutant {
    pub(crate) file: String,
    pub(crate) line: usize,
    /// What is written there.
    pub(crate) old: String,
    /// What it becomes.
    pub(crate) new: String,
}

/// Rewrites files one after the other; the changes are numbered throughout, from 1.
#[derive(Default)]
pub(crate) struct Rewriter {
    pub(crate) mutants: Vec<Mutant>,
    file: String,
}

impl Rewriter {
    pub(crate) fn rewrite(&mut self, file: &str, tree: &mut syn::File) {
        file.clone_into(&mut self.file);
        self.visit_file_mut(tree);
    }

    /// Lists a change; the expression that is true while it is on.
    fn switch(&mut self, at: Span, old: &str, new: &str) -> Expr {
        let (file, line) = (self.file.clone(), at.start().line);
        self.mutants.push(Mutant { file, line, old: old.to_owned(), new: new.to_owned() });
        let number = proc_macro2::Literal::usize_unsuffixed(self.mutants.len());
        parse_quote!(crate::mutant::on(#number))
    }

    fn body(&mut self, signature: &syn::Signature, block: &mut Block) {
        let values = body::instead(&signature.output);
        let mut early: Vec<Stmt> = Vec::new();
        for value in values {
            let name = &signature.ident;
            let on = self.switch(name.span(), &format!("fn {name}"), &format!("answers {}", excerpt(&value)));
            early.push(parse_quote!(if #on { return #value; }));
        }
        block.stmts.splice(0..0, early);
    }

    fn binary(&mut self, binary: &ExprBinary, written: &str, at: Span) -> Option<Expr> {
        let (left, op, right) = (&binary.left, &binary.op, &binary.right);
        Some(match op {
            BinOp::Eq(_) | BinOp::Ne(_) => {
                let other = if matches!(op, BinOp::Eq(_)) { "!=" } else { "==" };
                let on = self.switch(at, written, other);
                parse_quote!(((#left #op #right) != #on))
            }
            BinOp::Lt(_) | BinOp::Le(_) | BinOp::Gt(_) | BinOp::Ge(_) => {
                let (other, shown) = neighbour(op)?;
                let on = self.switch(at, written, shown);
                parse_quote!((if #on { (#left) #other (#right) } else { (#left) #op (#right) }))
            }
            // Without writing the right side twice: it may hold changes of its own.
            BinOp::And(_) => {
                let on = self.switch(at, written, "||");
                parse_quote!(({ let on = #on; if (#left) != on { #right } else { on } }))
            }
            BinOp::Or(_) => {
                let on = self.switch(at, written, "&&");
                parse_quote!(({ let on = #on; if (#left) != on { !on } else { #right } }))
            }
            _ => return None,
        })
    }

    /// `condition`, or always, or never.
    fn always_or_never(&mut self, condition: &Expr, written: &str, at: Span) -> Expr {
        let always = self.switch(at, written, "true");
        let never = self.switch(at, written, "false");
        parse_quote!((if #always { true } else if #never { false } else { #condition }))
    }
}

impl VisitMut for Rewriter {
    fn visit_item_mut(&mut self, item: &mut syn::Item) {
        use syn::Item;
        let skipped = match item {
            Item::Const(_) | Item::Static(_) | Item::Enum(_) | Item::Struct(_) | Item::Macro(_) => true,
            Item::Fn(function) => function.sig.constness.is_some() || is_test(&function.attrs),
            Item::Mod(module) => is_test(&module.attrs),
            Item::Impl(block) => is_test(&block.attrs),
            _ => false,
        };
        if !skipped {
            visit_mut::visit_item_mut(self, item);
        }
    }

    fn visit_item_fn_mut(&mut self, function: &mut syn::ItemFn) {
        self.visit_block_mut(&mut function.block);
        self.body(&function.sig, &mut function.block);
    }

    fn visit_impl_item_fn_mut(&mut self, function: &mut syn::ImplItemFn) {
        if function.sig.constness.is_none() && !is_test(&function.attrs) {
            self.visit_block_mut(&mut function.block);
            self.body(&function.sig, &mut function.block);
        }
    }

    fn visit_impl_item_const_mut(&mut self, _: &mut syn::ImplItemConst) {}

    fn visit_pat_mut(&mut self, _: &mut Pat) {}

    fn visit_type_mut(&mut self, _: &mut syn::Type) {}

    fn visit_attribute_mut(&mut self, _: &mut Attribute) {}

    fn visit_expr_const_mut(&mut self, _: &mut syn::ExprConst) {}

    fn visit_stmt_mut(&mut self, stmt: &mut Stmt) {
        let written = stmt.clone();
        visit_mut::visit_stmt_mut(self, stmt);
        if let Stmt::Expr(expr, Some(_)) = &written
            && may_be_left_out(expr)
        {
            let on = self.switch(written.span(), &excerpt(&written), "(left out)");
            *stmt = parse_quote!(if !#on { #stmt });
        }
    }

    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        if let Expr::Macro(call) = expr
            && call.mac.path.is_ident("matches")
            && let Ok(matches) = parse2::<Matches>(call.mac.tokens.clone())
        {
            let (at, written) = (expr.span(), expr.clone());
            let mut inner = matches.into_match();
            // Its arms are but two, and the whole is turned round below.
            if let Expr::Match(inner) = &mut inner {
                self.visit_expr_mut(&mut inner.expr);
                if let Some((_, guard)) = &mut inner.arms[0].guard {
                    self.visit_expr_mut(guard);
                }
            }
            let on = self.switch(at, &excerpt(&written), "the opposite");
            *expr = parse_quote!((#inner != #on));
            return;
        }
        let written = excerpt(expr);
        let at = expr.span();
        visit_mut::visit_expr_mut(self, expr);
        match expr {
            Expr::Binary(binary) if !has_let(&binary.left) && !has_let(&binary.right) => {
                let at = binary.op.span();
                if let Some(new) = self.binary(&binary.clone(), &written, at) {
                    *expr = new;
                }
            }
            Expr::Unary(unary) if matches!(unary.op, UnOp::Not(_)) => {
                let on = self.switch(at, &written, "without !");
                let inner = &unary.expr;
                *expr = parse_quote!(((!#inner) != #on));
            }
            _ => {}
        }
    }

    fn visit_expr_if_mut(&mut self, expr: &mut syn::ExprIf) {
        self.condition(&mut expr.cond);
        self.visit_block_mut(&mut expr.then_branch);
        if let Some((_, otherwise)) = &mut expr.else_branch {
            self.visit_expr_mut(otherwise);
        }
    }

    fn visit_expr_match_mut(&mut self, expr: &mut syn::ExprMatch) {
        let rest = expr.arms.last().is_some_and(|arm| arm.guard.is_none() && takes_all(&arm.pat));
        let last = expr.arms.len().saturating_sub(1);
        self.visit_expr_mut(&mut expr.expr);
        for (at, arm) in expr.arms.iter_mut().enumerate() {
            self.arm(arm, rest && at < last);
        }
    }
}

impl Rewriter {
    /// A condition; of several that bind names, each that binds none.
    fn condition(&mut self, condition: &mut Expr) {
        match condition {
            Expr::Let(binding) => self.visit_expr_mut(&mut binding.expr),
            Expr::Binary(both) if has_let(&both.left) || has_let(&both.right) => {
                self.condition(&mut both.left);
                self.condition(&mut both.right);
            }
            whole => {
                let (written, at) = (excerpt(whole), whole.span());
                self.visit_expr_mut(whole);
                *whole = self.always_or_never(whole, &format!("if {written}"), at);
            }
        }
    }

    /// An arm; `spared`: the match holds without it.
    fn arm(&mut self, arm: &mut Arm, spared: bool) {
        let (pattern, span) = (excerpt(&arm.pat), arm.pat.span());
        if let Some((_, guard)) = &mut arm.guard {
            let (written, at) = (excerpt(guard), guard.span());
            self.visit_expr_mut(guard);
            if !has_let(guard) {
                **guard = self.always_or_never(guard, &format!("{pattern} if {written} =>"), at);
            }
        } else if spared {
            let on = self.switch(span, &format!("{pattern} =>"), "(left out)");
            arm.guard = Some((Token![if](span), parse_quote!(!#on)));
        }
        self.visit_expr_mut(&mut arm.body);
    }
}

/// `matches!(value, pattern if guard)`.
struct Matches {
    value: Expr,
    pattern: Pat,
    guard: Option<Expr>,
}

impl Matches {
    fn into_match(self) -> Expr {
        let Self { value, pattern, guard } = self;
        let guard = guard.map(|guard| quote!(if #guard));
        parse_quote!((match #value { #pattern #guard => true, _ => false }))
    }
}

impl Parse for Matches {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let value = input.parse()?;
        input.parse::<Token![,]>()?;
        let pattern = Pat::parse_multi_with_leading_vert(input)?;
        let guard = if input.parse::<Option<Token![if]>>()?.is_some() { Some(input.parse()?) } else { None };
        input.parse::<Option<Token![,]>>()?;
        Ok(Self { value, pattern, guard })
    }
}

fn neighbour(op: &BinOp) -> Option<(BinOp, &'static str)> {
    Some(match op {
        BinOp::Lt(_) => (parse_quote!(<=), "<="),
        BinOp::Le(_) => (parse_quote!(<), "<"),
        BinOp::Gt(_) => (parse_quote!(>=), ">="),
        BinOp::Ge(_) => (parse_quote!(>), ">"),
        _ => return None,
    })
}

/// Whether a statement does something that a program compiles without.
fn may_be_left_out(expr: &Expr) -> bool {
    match expr {
        Expr::Call(_) | Expr::MethodCall(_) | Expr::Await(_) | Expr::Try(_) | Expr::Assign(_) => true,
        Expr::Binary(binary) => {
            matches!(binary.op, BinOp::AddAssign(_) | BinOp::SubAssign(_) | BinOp::MulAssign(_) | BinOp::BitOrAssign(_))
        }
        _ => false,
    }
}

fn takes_all(pattern: &Pat) -> bool {
    match pattern {
        Pat::Wild(_) => true,
        Pat::Ident(name) => name.subpat.is_none() && name.ident.to_string().starts_with(char::is_lowercase),
        _ => false,
    }
}

/// Whether the condition binds a name: what binds is no value and stands where it is.
fn has_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        Expr::Paren(inner) => has_let(&inner.expr),
        _ => false,
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.to_token_stream().to_string().contains("test"))
}

/// Source in one line, shortened.
fn excerpt(source: &impl ToTokens) -> String {
    let tokens = source.to_token_stream();
    tokens
        .span()
        .source_text()
        .unwrap_or_else(|| tokens.to_string().replace(" (", "("))
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(EXCERPT_MAX)
        .collect()
}
