namespace MailPipeline.Authentication.Dkim;

/// <summary>Where the keys are that mail is signed with. Section "Dkim".</summary>
public sealed class DkimOptions
{
    public const string Section = "Dkim";

    /// <summary>Where keys are in the data folder of one process that is all services.</summary>
    public const string FolderName = "dkim";

    /// <summary>
    /// Folder with private keys in PEM, as DOMAIN/SELECTOR.pem or SELECTOR._domainkey.DOMAIN.pem. Default: none, and nothing is signed.
    /// </summary>
    public string KeyFolder { get; set; } = "";

    /// <summary>How often it is looked at for changes. Default 10 s, as certificates are.</summary>
    public TimeSpan CheckInterval { get; set; } = TimeSpan.FromSeconds(10);
}
