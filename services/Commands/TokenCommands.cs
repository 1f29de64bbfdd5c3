using System.CommandLine;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Commands;

/// <summary>Tokens by which programs come to the operator's acts over the network.</summary>
internal static class TokenCommands
{
    public static Command Token(CommandTree tree)
    {
        var name = new Argument<string>("NAME") { Description = "what it is listed and removed by: letters, digits, '-', '.', '_'" };
        var scopes = new Option<string>("--scope") { Description = "what it lets its bearer do, with commas between: read, operate, administer, send", HelpName = "SCOPES", Required = true };
        scopes.Validators.Add(result =>
        {
            if (result.Tokens is [var typed] && !TryParse(typed.Value, out _))
                result.AddError($"--scope is '{typed.Value}'; it must be one or more of read, operate, administer, send, with commas between");
        });
        var of = new Option<string>("--of") { Description = "only what belongs to this domain or account of ours", HelpName = "DOMAIN|ACCOUNT", DefaultValueFactory = _ => "" };
        var time = new Option<string>("--for") { Description = "for how long: 12h, 90d; without it until it is removed", HelpName = "TIME" };
        time.Validators.Add(result =>
        {
            if (result.Tokens is [var typed] && !Units.TryParseTime(typed.Value, out _))
                result.AddError($"--for is '{typed.Value}'; it must be {Units.TimeForm}");
        });
        var create = tree.Create("create", "make a token, which is shown this once", async (store, line, cancellation) =>
        {
            // The validators have seen both.
            var wanted = TryParse(line.GetRequiredValue(scopes), out var parsedScopes) ? parsedScopes : ApiScopes.None;
            TimeSpan? lasts = line.GetValue(time) is { } typed && Units.TryParseTime(typed, out var parsed) ? parsed : null;
            return TokenReply.Of(await store.Tokens.MakeAsync(line.GetRequiredValue(name), wanted, line.GetValue(of) ?? "", lasts, tree.OperatorOf(line), cancellation));
        }, makes: false, name);
        create.Options.Add(scopes);
        create.Options.Add(of);
        create.Options.Add(time);
        return CommandTree.Group(
            "token", "what lets programs come to these acts over the network",
            create,
            tree.Create("list", "tokens, without what is secret of them", async (store, _, cancellation) => TokenReply.OfList(await store.Tokens.ListAsync(cancellation))),
            tree.Create("remove", "let nobody in by it any more", async (store, line, _) =>
                TokenReply.Of(await store.Tokens.RemoveAsync(line.GetRequiredValue(name), tree.OperatorOf(line))), makes: false, name));
    }

    // Numbers, which enumerations take as well, mean nothing here.
    private static bool TryParse(string typed, out ApiScopes scopes)
    {
        scopes = ApiScopes.None;
        foreach (var word in typed.Split(','))
        {
            if (word.Trim() is not [_, ..] one || !char.IsAsciiLetter(one[0]) || !Enum.TryParse<ApiScopes>(one, ignoreCase: true, out var scope) || scope == ApiScopes.None)
                return false;
            scopes |= scope;
        }
        return true;
    }
}
