using System.CommandLine;
using System.Globalization;
using MailPipeline.Authentication.Dkim;
using MailPipeline.Smtp;

namespace MailPipeline.Commands;

/// <summary>The keys that mail is signed with: made, shown with the records that have to be published, and retired. No store is opened for them.</summary>
internal static class DkimCommands
{
    /// <summary>Names of those who asked for other kinds of key.</summary>
    private enum Kinds
    {
        Both,
        Rsa,
        Ed25519,
    }

    public static Command Dkim(CommandTree tree)
    {
        var domain = new Argument<string>("DOMAIN") { Description = "the domain that signs" };
        var selector = new Argument<string>("SELECTOR") { Description = "as 'dkim list' shows it" };
        var some = new Argument<string?>("DOMAIN") { Description = "only its keys", Arity = ArgumentArity.ZeroOrOne };
        var kind = new Option<Kinds>("--kind") { Description = "which keys to make; both are used side by side", HelpName = "both|rsa|ed25519" };
        var named = new Option<string?>("--selector") { Description = "what their selectors begin with; default: the month, as m202601", HelpName = "NAME" };
        var dns = new Option<string?>("--dns") { Description = "ask this server whether the records are published", HelpName = "SERVER[:PORT]" };
        var create = tree.CreateWithFolder("create", "make keys for a domain, and show the records to publish", async (folder, line, cancellation) =>
        {
            var name = DomainIn(line.GetRequiredValue(domain));
            var made = Make(folder, name, line.GetValue(kind), line.GetValue(named) ?? $"m{tree.Now.UtcDateTime.ToString("yyyyMM", CultureInfo.InvariantCulture)}");
            return made.Count == 0
                ? DkimReply.NotMade(name)
                : DkimReply.Made(folder, name, await PublishedAsync(tree, line, made, line.GetValue(dns), cancellation));
        }, domain);
        create.Options.Add(kind);
        create.Options.Add(named);
        create.Options.Add(dns);
        var list = tree.CreateWithFolder("list", "keys and the records to publish", async (folder, line, cancellation) =>
        {
            var name = line.GetValue(some) is { } typed ? DomainIn(typed) : null;
            var keys = folder.Find().Where(file => name is null || file.Domain == name).Select(Read).ToList();
            return DkimReply.OfList(await PublishedAsync(tree, line, keys, line.GetValue(dns), cancellation));
        }, some);
        list.Options.Add(dns);
        return CommandTree.Group("dkim", "the keys that mail of our domains is signed with",
            create,
            list,
            tree.CreateWithFolder("retire", "sign with a key no more; its record stays as long as mail is under way that it signed", (folder, line, _) =>
            {
                var (name, key) = (DomainIn(line.GetRequiredValue(domain)), line.GetRequiredValue(selector).ToLowerInvariant());
                return Task.FromResult(folder.Retire(name, key) ? DkimReply.Retired(name, key) : DkimReply.NoSuchKey(name, key));
            }, domain, selector));
    }

    private static string DomainIn(string typed) =>
        SmtpAddress.TryParse($"x@{typed}", out var address, allowUtf8: true) && !address!.HasAddressLiteral && DomainName.ToAscii(typed) is { } domain
            ? domain : throw new UsageException($"'{typed}' is not a domain; it looks like example.org");

    private static List<DkimSigningKey> Make(KeyFolder folder, string domain, Kinds kinds, string selector)
    {
        if (!KeyFile.IsSelector(selector))
            throw new UsageException($"'{selector}' is no selector; it is letters, digits, '-', '_' and '.'");
        (DkimKeyKind Kind, string Selector)[] wanted = kinds switch
        {
            Kinds.Rsa => [(DkimKeyKind.Rsa, $"{selector}r")],
            Kinds.Ed25519 => [(DkimKeyKind.Ed25519, $"{selector}e")],
            _ => [(DkimKeyKind.Rsa, $"{selector}r"), (DkimKeyKind.Ed25519, $"{selector}e")],
        };
        return [.. wanted.Select(one => folder.Create(domain, one.Selector.ToLowerInvariant(), one.Kind)).OfType<DkimSigningKey>()];
    }

    private static DkimSigningKey Read(KeyFile file)
    {
        try
        {
            return file.Read();
        }
        catch (System.Security.Cryptography.CryptographicException unusable)
        {
            throw new UsageException($"{file.Path} holds no key that can be used: {unusable.Message}");
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"{file.Path} cannot be read: {unreadable.Message}");
        }
    }

    /// <summary>Each key with what the server says of its record; unknown where none is asked.</summary>
    private static async Task<IReadOnlyList<PublishedKey>> PublishedAsync(
        CommandTree tree, ParseResult line, IReadOnlyList<DkimSigningKey> keys, string? server, CancellationToken cancellation)
    {
        if (server is null)
            return [.. keys.Select(key => new PublishedKey(key, null))];
        await using var resolver = await tree.OpenResolverAsync(line, server);
        var found = new List<PublishedKey>();
        foreach (var key in keys)
            found.Add(new PublishedKey(key, await PublishedRecord.FindAsync(key, resolver.Lookup, cancellation)));
        return found;
    }
}

/// <summary>A key, and what is said of its record; null: nobody was asked.</summary>
internal sealed record PublishedKey(DkimSigningKey Key, RecordState? State);
