namespace MailPipeline.Mail.Tests;

/// <summary>Fills a directory, one change for each name, by the way that everybody changes it.</summary>
internal static class DirectorySeed
{
    public static Task<bool> AddDomainAsync(this MailDirectory directory, string domain, string aliasOf = "") =>
        directory.AddDomainAsync(new MailDomain(domain, aliasOf));

    public static Task<bool> AddDomainAsync(this MailDirectory directory, MailDomain domain) =>
        directory.ChangeAsync(change => change.AddDomainAsync(domain));

    /// <summary>With a hash alone: only the password itself logs in.</summary>
    public static Task<bool> AddAccountAsync(this MailDirectory directory, string address, string passwordHash) =>
        directory.AddAccountAsync(address, new StoredPassword(passwordHash));

    public static Task<bool> AddAccountAsync(this MailDirectory directory, string address, StoredPassword password) =>
        directory.ChangeAsync(change => change.AddAccountAsync(address, password));

    /// <summary>Whatever it leads to.</summary>
    public static Task<bool> AddAliasAsync(this MailDirectory directory, string address, string target) =>
        directory.ChangeAsync(change => change.AddAliasAsync(address, target));

    public static Task<bool> RemoveAliasAsync(this MailDirectory directory, string address, string target) =>
        directory.ChangeAsync(change => change.RemoveAliasAsync(address, target));
}
