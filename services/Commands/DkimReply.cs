using System.Diagnostics;
using System.Text.Json;
using MailPipeline.Administration;
using MailPipeline.Authentication.Dkim;

namespace MailPipeline.Commands;

/// <summary>What became of keys, and the records to publish, in words and as JSON.</summary>
internal static class DkimReply
{
    /// <summary>RFC 1035 §3.3: a string of a TXT record has no more octets.</summary>
    private const int MaxString = 255;

    public static Reply Of(DkimKeysMade made, IReadOnlyList<PublishedKey> keys) => new(made.Status, "dkimCreated", json => Write(json, keys))
    {
        Parts =
        [
            new LinePart($"{Count(keys.Count)} made in {made.Folder} for {MailText.Name(made.Domain)}; mail is signed within seconds. Publish first:"),
            .. keys.SelectMany(Parts),
        ],
        Sentence = $"{Count(keys.Count)} made for {made.Domain}",
    };

    public static Reply Of(IReadOnlyList<PublishedKey> keys) => Reply.Show("dkimKeys", [.. keys.SelectMany(Parts)], json => Write(json, keys));

    public static Reply Of(DkimKeyResult result) => result switch
    {
        DkimKeysThere { Domain: var domain } => Reply.Say(
            result.Status, "dkimKeyThere", $"{domain} has keys with these selectors, or has retired some; --selector names others", json => json.WriteString("domain", domain)),
        DkimKeyRetired { Domain: var domain, Selector: var selector } => Reply.Say(
            result.Status, "dkimRetired",
            $"{domain} signs with {selector} no more, within seconds. Leave {selector}._domainkey.{domain} published for a week: mail that it signed is still under way",
            json => WriteName(json, domain, selector)),
        NoSuchDkimKey { Domain: var domain, Selector: var selector } => Reply.Say(
            result.Status, "noSuchDkimKey", $"{domain} has no key {selector}; 'dkim list {domain}' shows those there are", json => WriteName(json, domain, selector)),
        NotASigningDomain { Typed: var typed } => Reply.Say(
            result.Status, "notASigningDomain", $"'{MailText.OneLine(typed)}' is not a domain; it looks like example.org", static _ => { }),
        NotASelector { Typed: var typed } => Reply.Say(
            result.Status, "notASelector", $"'{MailText.OneLine(typed)}' is no selector; it is letters, digits, '-', '_' and '.'", static _ => { }),
        DkimKeyUnusable { Path: var path, IsRead: var isRead, Cause: var cause } => Reply.Say(
            result.Status, "dkimKeyUnusable", $"{path} {(isRead ? "holds no key that can be used" : "cannot be read")}: {MailText.OneLine(cause)}",
            json => json.WriteString("path", path)),
        _ => throw new UnreachableException($"{result.GetType().Name} has no words"),
    };

    private static string Count(int keys) => keys == 1 ? "1 key" : $"{MailText.Number(keys)} keys";

    private static IEnumerable<ReplyPart> Parts(PublishedKey published)
    {
        var key = published.Key;
        yield return new LinePart("");
        yield return new LinePart($"{key.RecordName}. TXT ( {Strings(key.Record)} )");
        if (published.State is { } state)
            yield return new LinePart(Text(state));
    }

    private static string Text(RecordState state) => state switch
    {
        RecordState.Published => "  published",
        RecordState.Other => "  NOT published: another record is there",
        RecordState.Missing => "  NOT published: there is no record",
        _ => "  not known: the server did not answer",
    };

    /// <summary>In quotes, and in as many strings as it takes.</summary>
    private static string Strings(string record) => string.Join(' ', record.Chunk(MaxString).Select(part => $"\"{new string(part)}\""));

    private static void Write(Utf8JsonWriter json, IReadOnlyList<PublishedKey> keys) => json.WriteAll("keys", keys, published =>
    {
        WriteName(json, published.Key.Domain, published.Key.Selector);
        json.WriteString("algorithm", published.Key.Algorithm);
        json.WriteString("name", published.Key.RecordName);
        json.WriteString("record", published.Key.Record);
        if (published.State is { } state)
            json.WriteString("state", Json.Name(state));
    });

    private static void WriteName(Utf8JsonWriter json, string domain, string selector)
    {
        json.WriteString("domain", domain);
        json.WriteString("selector", selector);
    }
}
