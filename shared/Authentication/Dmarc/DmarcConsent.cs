namespace MailPipeline.Authentication.Dmarc;

/// <summary>By what the domain of an address says that it takes reports about another organisation's domain (RFC 7489 §7.1).</summary>
public static class DmarcConsent
{
    /// <summary>Where its TXT record is, which begins with v=DMARC1.</summary>
    /// <param name="domain">That the reports are about.</param>
    /// <param name="host">The domain of the address that they go to.</param>
    public static string NameOf(string domain, string host) => $"{domain}._report._dmarc.{host}";
}
