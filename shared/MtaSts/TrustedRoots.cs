using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace MailPipeline.MtaSts;

/// <summary>
/// Who may issue certificates of hosts and of policies: the authorities that this machine trusts, and those of a file of the operator's, for hosts that
/// have theirs from an authority of a company's own.
/// </summary>
public sealed class TrustedRoots
{
    private const X509ChainStatusFlags NoRoot = X509ChainStatusFlags.UntrustedRoot | X509ChainStatusFlags.PartialChain;

    private readonly X509Certificate2Collection _further;

    /// <param name="path">Of the file; empty: there is none.</param>
    /// <exception cref="InvalidDataException">There are no certificates in it.</exception>
    public TrustedRoots(string path) => _further = Read(path);

    /// <summary>The certificates of a PEM file; none where none is named.</summary>
    /// <exception cref="InvalidDataException">There are none in it; its message goes on behind "...:TrustedRoots is '...'; ".</exception>
    public static X509Certificate2Collection Read(string path)
    {
        X509Certificate2Collection certificates = [];
        if (path.Length == 0)
            return certificates;
        try
        {
            certificates.ImportFromPemFile(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new InvalidDataException("it must be a PEM file with certificates of authorities that this user can read", error);
        }

        return certificates.Count > 0 ? certificates : throw new InvalidDataException("no certificate is in it");
    }

    /// <summary>What every chain of a stranger's is built by: nobody is asked for what his certificates name.</summary>
    public static X509ChainPolicy ChainPolicy() => new() { RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true };

    /// <summary>The chain to one of the operator's roots, where this machine knows none; null: there is none either. Whatever else is wrong with it stands in it.</summary>
    /// <param name="chain">As it was built from what this machine trusts.</param>
    public X509Chain? Rebuild(X509Certificate2 shown, X509Chain? chain)
    {
        if (_further.Count == 0 || chain is null || !chain.ChainStatus.Any(IsRootless))
            return null;
        var again = new X509Chain { ChainPolicy = ChainPolicy() };
        again.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        again.ChainPolicy.CustomTrustStore.AddRange(_further);
        again.ChainPolicy.ExtraStore.AddRange(chain.ChainPolicy.ExtraStore);
        foreach (var element in chain.ChainElements)
            again.ChainPolicy.ExtraStore.Add(element.Certificate);
        again.Build(shown);
        if (!again.ChainStatus.Any(IsRootless))
            return again;
        again.Dispose();
        return null;
    }

    private static bool IsRootless(X509ChainStatus status) => (status.Status & NoRoot) != X509ChainStatusFlags.NoError;
}
