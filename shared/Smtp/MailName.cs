using System.Text;

namespace MailPipeline.Smtp;

/// <summary>
/// Names of ours as they are compared and as people read them: addresses, "@example.org", and domains. A local part is compared in
/// Unicode's normal form C and without regard to case, a domain by <see cref="DomainName"/>.
/// </summary>
public static class MailName
{
    /// <summary>The form by which names are kept and found: one for each mailbox, however it was typed.</summary>
    public static string Key(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (Ascii.IsValid(name))
            return name.ToLowerInvariant();
        var at = name.LastIndexOf('@');
        return at < 0 ? DomainName.Key(name)
            : string.Concat(ComposedForm.Of(ComposedForm.Of(name[..at]).ToLowerInvariant()), "@", DomainName.Key(name[(at + 1)..]));
    }

    /// <summary>For people: the same name with its domain in U-labels.</summary>
    public static string ForPeople(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        var at = name.LastIndexOf('@');
        return string.Concat(name.AsSpan(0, at + 1), DomainName.ToUnicode(name[(at + 1)..]));
    }
}
