using System.Diagnostics;
using System.Text.Json;
using MailPipeline.Administration;
using MailPipeline.Mail;
using static MailPipeline.Commands.MailText;

namespace MailPipeline.Commands;

/// <summary>Tokens, in words and as JSON.</summary>
internal static class TokenReply
{
    public static Reply Of(TokenResult result) => result switch
    {
        TokenMade made => new Reply(result.Status, "tokenMade", json =>
        {
            Write(json, made.Token);
            json.WriteString("token", made.Secret);
        })
        {
            Parts = [new LinePart(made.Secret), new LinePart($"This is the token {made.Token.Name}, and it is shown this once; it is given as: Authorization: Bearer TOKEN")],
            Sentence = $"The token {made.Token.Name} is made",
        },
        TokenRemoved { Token: var token } => Reply.Say(result.Status, "tokenRemoved", $"The token {token.Name} lets nobody in any more", json => Write(json, token)),
        TokenAlreadyThere { Name: var name } => Reply.Say(result.Status, "tokenAlreadyThere",
            $"There is a token {name}, or there are {Number(ApiTokenStore.MaxTokens)} others; 'token remove' makes room", json => json.WriteString("name", name)),
        NoSuchToken { Name: var name } => Reply.Say(result.Status, "noSuchToken",
            $"There is no token '{OneLine(name)}'; 'token list' shows those that there are", json => json.WriteString("name", name)),
        TokenForNobody { Of: var of } => Reply.Say(result.Status, "tokenForNobody",
            $"--of is '{OneLine(of)}', which is no domain and no account of ours", json => json.WriteString("of", of)),
        NotATokenName(var typed, var longest) => Reply.Say(result.Status, "notATokenName",
            $"'{OneLine(typed)}' is no name of a token: up to {Number(longest)} letters, digits, '-', '.' and '_'", static _ => { }),
        NoScopes => Reply.Say(result.Status, "noScopes", "--scope must say at least one of read, operate, administer, send", static _ => { }),
        NotATokenTime { Longest: var longest } => Reply.Say(result.Status, "notATokenTime", $"--for must be more than nothing, and up to {Number((long)longest.TotalDays)}d", static _ => { }),
        ScopeForAllOnly { Scopes: var scopes } => Reply.Say(result.Status, "scopeForAllOnly",
            $"The scope {Word(scopes)} goes without {(scopes == ApiScopes.Operate ? "--of: mail on its way belongs to no domain of ours" : "an account; a domain has it")}", static _ => { }),
        _ => throw new UnreachableException($"{result.GetType().Name} has no words"),
    };

    public static Reply OfList(IReadOnlyList<ApiToken> tokens) => Reply.Show("tokens", [.. Parts(tokens)], json => json.WriteAll("tokens", tokens, token => Write(json, token)));

    private static IEnumerable<ReplyPart> Parts(IReadOnlyList<ApiToken> tokens)
    {
        if (tokens.Count == 0)
        {
            yield return new LinePart("There are no tokens");
            yield break;
        }

        yield return new TablePart(
            ["name", "scopes", "of", "made", "by", "until", "last used"],
            [.. tokens.Select(token => (string[])
            [
                token.Name, string.Join(",", Words(token.Scopes)), token.AccountAddress.Length > 0 ? token.AccountAddress : token.Domain, Second(token.MadeAt), OneLine(token.MadeBy),
                token.UntilAt is { } until ? Second(until) : "", token.UsedAt is { } used ? Second(used) : "never",
            ])]);
    }

    private static IEnumerable<string> Words(ApiScopes scopes) =>
        Enum.GetValues<ApiScopes>().Where(scope => scope != ApiScopes.None && scopes.HasFlag(scope)).Select(Word);

    private static void Write(Utf8JsonWriter json, ApiToken token)
    {
        json.WriteString("name", token.Name);
        json.WriteStrings("scopes", Words(token.Scopes));
        json.WriteString("domain", token.Domain);
        json.WriteString("account", token.AccountAddress);
        json.WriteTime("madeAt", token.MadeAt);
        json.WriteString("madeBy", token.MadeBy);
        json.WriteTime("until", token.UntilAt);
        json.WriteTime("usedAt", token.UsedAt);
    }
}
