using System.Text;

namespace MailPipeline.Sasl;

/// <summary>What names and passwords are made of before they are compared (RFC 4013).</summary>
public static class SaslPrep
{
    /// <summary>
    /// RFC 4013 §2.3 prohibits controls (also U+0080 to U+009F) in names; in passwords they are passed on, but for NUL, which RFC 4616 §2
    /// excludes.
    /// </summary>
    internal static bool HasControls(string name) => name.EnumerateRunes().Any(Rune.IsControl);
}
