using System.Globalization;
using System.Security.Cryptography;
using MailPipeline.Authentication.Dkim;
using MailPipeline.Dns;
using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Administration;

/// <summary>Which keys are made for a domain.</summary>
public enum DkimKeyChoice
{
    /// <summary>One of each kind, which are used side by side.</summary>
    Both,
    Rsa,
    Ed25519,
}

/// <summary>A key, and what is said of its record; null: nobody was asked.</summary>
public sealed record PublishedKey(DkimSigningKey Key, RecordState? State);

/// <summary>What became of keys: one of the records in this file, and of no others.</summary>
public abstract record DkimKeyResult
{
    private protected DkimKeyResult(ActStatus status) => Status = status;

    public ActStatus Status { get; }
}

/// <param name="Folder">Where their files are.</param>
public sealed record DkimKeysMade(string Folder, string Domain, IReadOnlyList<DkimSigningKey> Keys) : DkimKeyResult(ActStatus.Done);

/// <summary>The domain has keys of these selectors, or has retired some.</summary>
public sealed record DkimKeysThere(string Domain) : DkimKeyResult(ActStatus.NotDone);

public sealed record DkimKeysFound(IReadOnlyList<DkimSigningKey> Keys) : DkimKeyResult(ActStatus.Done);

public sealed record DkimKeyRetired(string Domain, string Selector) : DkimKeyResult(ActStatus.Done);

public sealed record NoSuchDkimKey(string Domain, string Selector) : DkimKeyResult(ActStatus.NotDone);

public sealed record NotASigningDomain(string Typed) : DkimKeyResult(ActStatus.Refused);

public sealed record NotASelector(string Typed) : DkimKeyResult(ActStatus.Refused);

/// <summary>A file in the folder holds no key that can be used, or cannot be read.</summary>
/// <param name="IsRead">It was read, and is no key.</param>
public sealed record DkimKeyUnusable(string Path, bool IsRead, string Cause) : DkimKeyResult(ActStatus.Refused);

/// <summary>
/// The keys that mail is signed with, as files in a folder. They are no rows of the store, and need none; where there is one, what was done to them is noted
/// there right behind the act.
/// </summary>
/// <param name="audit">Null: no store is there.</param>
public sealed class DkimKeys(KeyFolder folder, AuditLog? audit)
{
    /// <param name="selector">What selectors begin with; null: the month.</param>
    /// <returns><see cref="DkimKeysMade"/>, or why not.</returns>
    public async Task<DkimKeyResult> CreateAsync(string typed, DkimKeyChoice choice, string? selector, DateTimeOffset now, OperatorIdentity by)
    {
        if (!TryDomain(typed, out var domain))
            return new NotASigningDomain(typed);
        selector ??= string.Create(CultureInfo.InvariantCulture, $"m{now.UtcDateTime:yyyyMM}");
        if (!KeyFile.IsSelector(selector))
            return new NotASelector(selector);
        var made = new List<DkimSigningKey>();
        foreach (var (kind, ending) in new[] { (DkimKeyKind.Rsa, 'r'), (DkimKeyKind.Ed25519, 'e') })
        {
            if (choice != DkimKeyChoice.Both && (choice == DkimKeyChoice.Rsa) != (kind == DkimKeyKind.Rsa))
                continue;
            if (folder.Create(domain, $"{selector}{ending}".ToLowerInvariant(), kind) is not { } key)
                continue;
            made.Add(key);
            await NoteAsync(OperatorAction.DkimKeyMade, key.RecordName, by);
        }

        return made.Count == 0 ? new DkimKeysThere(domain) : new DkimKeysMade(folder.Path, domain, made);
    }

    /// <param name="typed">Null: of all domains.</param>
    /// <returns><see cref="DkimKeysFound"/>, or why not.</returns>
    public DkimKeyResult Find(string? typed)
    {
        string? domain = null;
        if (typed is not null && !TryDomain(typed, out domain))
            return new NotASigningDomain(typed);
        var keys = new List<DkimSigningKey>();
        foreach (var file in folder.Find().Where(file => domain is null || file.Domain == domain))
        {
            try
            {
                keys.Add(file.Read());
            }
            catch (CryptographicException unusable)
            {
                return new DkimKeyUnusable(file.Path, IsRead: true, unusable.Message);
            }
            catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException)
            {
                return new DkimKeyUnusable(file.Path, IsRead: false, unreadable.Message);
            }
        }

        return new DkimKeysFound(keys);
    }

    /// <returns><see cref="DkimKeyRetired"/>, or why not.</returns>
    public async Task<DkimKeyResult> RetireAsync(string typed, string selector, OperatorIdentity by)
    {
        if (!TryDomain(typed, out var domain))
            return new NotASigningDomain(typed);
        selector = selector.ToLowerInvariant();
        if (!folder.Retire(domain, selector))
            return new NoSuchDkimKey(domain, selector);
        await NoteAsync(OperatorAction.DkimKeyRetired, $"{selector}._domainkey.{domain}", by);
        return new DkimKeyRetired(domain, selector);
    }

    /// <summary>Each key with what DNS says of its record.</summary>
    /// <param name="dns">Null: nobody is asked.</param>
    public static async Task<IReadOnlyList<PublishedKey>> PublishedAsync(IReadOnlyList<DkimSigningKey> keys, IDnsLookup? dns, CancellationToken cancellation)
    {
        var found = new List<PublishedKey>(keys.Count);
        foreach (var key in keys)
            found.Add(new PublishedKey(key, dns is null ? null : await PublishedRecord.FindAsync(key, dns, cancellation)));
        return found;
    }

    private Task NoteAsync(OperatorAction action, string subject, OperatorIdentity by) => audit?.NoteAsync(action, subject, by) ?? Task.CompletedTask;

    private static bool TryDomain(string typed, out string domain)
    {
        domain = SmtpAddress.TryParse($"x@{typed}", out var address, allowUtf8: true) && !address!.HasAddressLiteral ? DomainName.ToAscii(typed) ?? "" : "";
        return domain.Length > 0;
    }
}
